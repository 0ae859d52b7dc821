package oauth_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// TestOneRefreshDespiteAStoppedProcess is the race with a process that has acquired the
// lease, written its intent, and been stopped: the others wait until the lease expires,
// one of them refreshes, and the stopped one continues with what they have stored.
func TestOneRefreshDespiteAStoppedProcess(t *testing.T) {
	t.Parallel()
	const limit = 2 * time.Second
	in, p := withDemo(t, &options{CallTimeout: limit})
	r := newRace(t, in, p, "demo-oauth", "me", in.connectDemo())
	for round := range max(rounds(t, 1)/10, 1) { // each takes as long as a lease
		var holder *exec.Cmd
		var out *bufio.Reader
		r.run(t, round+1, func() {
			holder, out = in.child(t, childOptions{Grant: r.grant, Stop: true, Timeout: limit})
			testenv.Eventually(t, "the process to write its intent and stop", func() bool { return in.grant(r.grant).Intent != nil && stopped(holder.Process.Pid) })
		})
		must(t, holder.Process.Signal(syscall.SIGCONT))
		line, err := out.ReadString('\n')
		must(t, err)
		if want := fmt.Sprintf("generation %d\n", round+2); line != want {
			rest, _ := io.ReadAll(out)
			t.Fatalf("round %d: the stopped process got %q, want %q\n%s", round+1, line, want, rest)
		}
		if got := stats(t, p); got.Refreshes != round+1 || got.Reuses != 0 {
			t.Fatalf("round %d: after it continued the provider counted %+v, want %d refreshes and no reuse", round+1, got, round+1)
		}
	}
}

// doNothing is an action that needs a token and makes no request.
func doNothing(context.Context, *connectors.Call, struct{}) (struct{}, error) { return struct{}{}, nil }

// killedThenRaced kills a process between the provider's response and the store. Then 64
// actions on four executors and two refreshers use the grant.
func killedThenRaced(t *testing.T, repair func(*connectors.OAuth2)) (in *installation, m *repairServer, grant string, failures []string) {
	t.Helper()
	m = &repairServer{}
	mend := oauthConnector("mend", newServer(t, m), func(o *connectors.OAuth2) {
		o.UserInfoURL, o.RevocationURL = "", ""
		repair(o)
	})
	mend.Actions = []connectors.Action{connectors.NewAction("still", doNothing, &connectors.ActionOptions{Idempotent: true})}
	in = install(t, &options{CallTimeout: time.Second}, mend)
	in.setApp("mend", repairApp)
	grant = in.storeExpired(t, "mend")
	killed, _ := in.child(t, childOptions{Grant: grant, Kill: true, Timeout: time.Second})
	if killed.Wait() == nil {
		t.Fatal("the child was not killed")
	}
	r := newRace(t, in, nil, "mend", "still", grant)
	must(t, in.front.Queue.ScheduleRefresh(t.Context(), grant, time.Now()))
	return in, m, grant, r.act(t, "mend", "still", 64, "after-the-kill")
}

func TestAKillInTheRaceIsRepairedOnce(t *testing.T) {
	t.Parallel()
	_, m, _, failures := killedThenRaced(t, byAssertion)
	if len(failures) > 0 {
		t.Errorf("%d of 64 actions failed, the first with %s", len(failures), failures[0])
	}
	if got := m.requests(); !slices.Equal(got, []string{"refresh", "repair"}) {
		t.Errorf("the provider was asked %v, want the refresh of the killed process and one repair", got)
	}
}

func TestAKillInTheRaceNeedsReauthOnceWithoutRepair(t *testing.T) {
	t.Parallel()
	in, m, grant, failures := killedThenRaced(t, func(*connectors.OAuth2) {})
	if len(failures) != 64 || !strings.Contains(failures[0], string(connectors.CodeConnectorOAuthRefreshFailed)) {
		t.Errorf("%d of 64 actions failed, want all with CONNECTOR_OAUTH_REFRESH_FAILED: %v", len(failures), failures)
	}
	if got := m.requests(); !slices.Equal(got, []string{"refresh", "refused refresh_token"}) {
		t.Errorf("the provider was asked %v, want the refresh of the killed process and one more", got)
	}
	published := len(in.eventsOf(events.OAuthNeedsReauth))
	if g := in.grant(grant); published != 1 || g.State != records.GrantRevoked {
		t.Errorf("needs_reauth was published %d times and the grant is %s, want once, for good", published, g.State)
	}
}
