package oauth_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/oauth/token"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

const childVariable = "HAWSER_TEST_CHILD"

// childOptions are the options of a child. Its keyset protects nothing.
type childOptions struct {
	URL, Creds, Keyset, Grant string
	Stop                      bool // itself, between the intent and the call
	Kill                      bool // itself, between the provider's answer and the store
	Refresher                 bool // be one, until it is killed
	Timeout                   time.Duration
}

// stopping stops its own process right after the first record is updated.
type stopping struct{ kvstore.Store }

func (s stopping) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	revision, err := s.Store.Update(ctx, key, value, revision)
	if err == nil {
		err = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		// The kernel stops the other threads a moment later than the calling one.
		time.Sleep(time.Second)
	}
	return revision, err
}

// killing kills its own process after a response was received.
type killing struct{}

func (killing) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	_, _ = io.ReadAll(resp.Body)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// TestChild is a second process, which is stopped or killed during a refresh.
func TestChild(t *testing.T) {
	text := os.Getenv(childVariable)
	if text == "" {
		t.Skip("only the processes that other tests start run this")
	}
	var o childOptions
	must(t, json.Unmarshal([]byte(text), &o))
	nc, err := nats.Connect(o.URL, nats.UserCredentials(o.Creds), nats.Timeout(10*time.Second))
	must(t, err)
	defer nc.Close()
	n := testenv.StartNode(t, &testenv.NodeOptions{
		Queue: testenv.QueueOn(t, nc), Keyset: secret.New(o.Keyset), Token: token.Options{CallTimeout: o.Timeout}, Uncached: true,
		Wrap: func(bucket string, s kvstore.Store) kvstore.Store {
			if o.Stop && bucket == "grants" {
				return stopping{s}
			}
			return s
		},
	})
	if o.Kill {
		n.Providers.Transport = killing{}
	}
	if o.Refresher {
		runAsRefresher(t, n)
		return
	}
	fresh, err := n.OAuth.Source.Fresh(t.Context(), o.Grant)
	must(t, err)
	fmt.Println("generation", fresh.Generation)
}

// child starts a second process.
func (in *installation) child(t testing.TB, o childOptions) (cmd *exec.Cmd, out *bufio.Reader) {
	t.Helper()
	o.URL, o.Creds, o.Keyset = in.front.Env.URL(), in.front.Env.Server().CredsPath(), in.front.Keyset.Reveal()
	text, err := json.Marshal(o)
	must(t, err)
	cmd = exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestChild$")
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, bufio.NewReader(pipe)
}

func TestAProcessStoppedPastItsLeaseSendsNothing(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, &options{CallTimeout: 2 * time.Second})
	grant := in.connectDemo()
	in.expire(grant)
	holder, out := in.child(t, childOptions{Grant: grant, Stop: true, Timeout: 2 * time.Second})
	testenv.Eventually(t, "the process to write its intent and stop", func() bool { return in.grant(grant).Intent != nil && stopped(holder.Process.Pid) })
	token, err := in.front.OAuth.Source.Fresh(t.Context(), grant)
	must(t, err)
	if got := stats(t, p); got.Refreshes != 1 {
		t.Errorf("after the successor: provider counted %+v, want one refresh", got)
	}
	must(t, holder.Process.Signal(syscall.SIGCONT))
	line, err := out.ReadString('\n')
	must(t, err)
	if want := fmt.Sprintf("generation %d\n", token.Generation); line != want {
		t.Errorf("the stopped process got %q, want %q, which the other stored", line, want)
	}
	if got := stats(t, p); got.Refreshes != 1 || got.Reuses != 0 {
		t.Errorf("provider counted %+v, want one refresh and no reuse", got)
	}
}

// stopped reports whether a process is in state T.
func stopped(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	return strings.HasPrefix(rest, "T")
}

func TestAfterAKillTheOldTokenIsUsedWhereTheProviderAcceptsIt(t *testing.T) {
	t.Parallel()
	kind := newSlowServer(t, 0)
	in := installWithApp(t, &options{CallTimeout: time.Second}, oauthConnector("kind", kind.url, nil))
	grant := in.storeExpired(t, "kind")
	killed, _ := in.child(t, childOptions{Grant: grant, Kill: true, Timeout: time.Second})
	_ = killed.Wait()
	token, err := in.front.OAuth.Source.Fresh(t.Context(), grant)
	must(t, err)
	if got := kind.calls.Load(); got != 2 || token.Generation != 2 {
		t.Errorf("got %d calls, generation %d; want a second call with the old token", got, token.Generation)
	}
}
