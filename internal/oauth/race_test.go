package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/demo"
	"github.com/hawser-io/hawser/internal/refresher"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// rounds returns the number of rounds of a race: usual, or HAWSER_SOAK_ROUNDS.
func rounds(t *testing.T, usual int) int {
	text := os.Getenv("HAWSER_SOAK_ROUNDS")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// runExecutor adds an executor process to the installation.
func (in *installation) runExecutor(t testing.TB) *testenv.Node {
	t.Helper()
	n := in.front.Join(t)
	n.RunCaches(t)
	n.StartExecutor(t, nil)
	return n
}

// refresherOf returns a refresher of the node.
func refresherOf(n *testenv.Node, opts *refresher.Options) *refresher.Refresher {
	return refresher.New(refresher.Parts{Queue: n.Queue, Tokens: n.OAuth, Grants: n.Grants, Leases: n.Leases}, opts)
}

// runRefresher adds a refresher process.
func (in *installation) runRefresher(t testing.TB) *testenv.Node {
	t.Helper()
	n := in.front.Join(t)
	n.RunCaches(t)
	r := refresherOf(n, &refresher.Options{Log: n.Logger()})
	run(t, func(ctx context.Context) error { return r.Run(ctx, context.WithoutCancel(ctx), func() {}) })
	return n
}

// TestOneRefreshForConcurrentActions is the guarantee of this package: four executors
// with 64 actions and two refreshers need an expired, rotating token, and the provider
// counts one refresh and no reuse, round after round.
func TestOneRefreshForConcurrentActions(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, nil)
	r := newRace(t, in, p, "demo-oauth", "me", in.connectDemo())
	for round := range rounds(t, 5) {
		r.run(t, round+1, nil)
	}
}

// TestOneRefreshThatOutlastsItsActions is the same race with a token endpoint that takes
// longer than an action may: it responds only after enough actions have timed out. The
// refresh continues without them, and their retries find its token.
func TestOneRefreshThatOutlastsItsActions(t *testing.T) {
	t.Parallel()
	// A retry comes after half a second, a second, and so on. So that enough actions
	// time out on a busy machine, an action does nothing but get its token.
	const actionTimeout, enough = time.Second, 16
	p := startDemo(t)
	var in *installation
	var until atomic.Int64 // how many actions have to have given up
	slow := oauthConnector("slow", slowProxy(t, p.URL(), "/token", func() {
		for deadline := time.Now().Add(15 * time.Second); until.Load() > 0 && in.retries() < until.Load(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Error("too few actions gave up: the endpoint was not slow enough to show anything")
				return
			}
		}
	}), nil)
	slow.Actions = []connectors.Action{connectors.NewAction("still", doNothing, &connectors.ActionOptions{Idempotent: true, Timeout: actionTimeout, MaxAttempts: 50})}
	in = installWithApp(t, nil, slow)
	b := testenv.NewBrowser(t)
	if status, _, body := b.Get(in.begin(b, "/scopes/organization/acme/connections/slow", map[string]any{}, approve)); status != http.StatusOK {
		t.Fatalf("connect: got %d %s", status, body)
	}
	c := in.connection("slow", "")
	r := newRace(t, in, p, "slow", "still", c.Grant)
	for round := range rounds(t, 2) {
		until.Store(in.retries() + enough)
		r.run(t, round+1, nil)
	}
}

// race is an installation of four executors and two refreshers around one grant.
type race struct {
	*installation
	provider          *demo.Provider
	connector, action string
	grant             string
	nodes             []*testenv.Node
}

func newRace(t *testing.T, in *installation, p *demo.Provider, connector, action, grant string) *race {
	r := &race{in, p, connector, action, grant, nil}
	for range 4 {
		r.nodes = append(r.nodes, in.runExecutor(t))
	}
	for range 2 {
		r.nodes = append(r.nodes, in.runRefresher(t))
	}
	return r
}

// run is one round: the token expires, first runs, 64 actions and a timer need the
// token, and the provider has counted as many refreshes as there were rounds.
func (r *race) run(t *testing.T, round int, first func()) {
	t.Helper()
	expired := r.expire(r.grant)
	for _, n := range r.nodes {
		testenv.Eventually(t, "the caches of all to know", func() bool {
			g, err := n.Grants.Get(t.Context(), r.grant)
			return err == nil && g.ExpiresAt.Equal(expired.ExpiresAt)
		})
	}
	if first != nil {
		first()
	}
	must(t, r.front.Queue.ScheduleRefresh(t.Context(), r.grant, time.Now()))
	began := time.Now()
	if failures := r.act(t, r.connector, r.action, 64, fmt.Sprintf("round-%d", round)); len(failures) > 0 {
		t.Fatalf("round %d: %d of 64 actions failed, the first with %s", round, len(failures), failures[0])
	}
	t.Logf("round %d: 64 actions in %s", round, time.Since(began).Round(time.Millisecond))
	if got := stats(t, r.provider); got.Refreshes != round || got.Reuses != 0 {
		t.Fatalf("round %d: provider counted %+v, want %d refreshes and no reuse", round, got, round)
	}
}

// act runs an action n times concurrently and returns the errors of those that failed.
func (in *installation) act(t testing.TB, connector, action string, n int, id string) (failures []string) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			a := events.Action{ActionRef: events.ActionRef{Tenant: acme, Connector: connector, Action: action}, ID: fmt.Sprintf("%s-%d", id, i), Input: []byte(`{}`)}
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			e, err := in.front.Bus.RequestAction(ctx, a)
			for errors.Is(err, events.ErrUnavailable) && ctx.Err() == nil {
				e, err = in.front.Bus.RequestAction(ctx, a) // a busy machine; the id makes it one request
			}
			switch {
			case err != nil:
				mu.Lock()
				failures = append(failures, err.Error())
				mu.Unlock()
			case e.Type() != events.ActionCompleted.Type():
				mu.Lock()
				failures = append(failures, string(e.Data()))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return failures
}

func TestConnectionsShareOneRotation(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, nil)
	grant := in.connectDemo()
	b := testenv.NewBrowser(t)
	if status, _, body := b.Get(in.begin(b, onDemo+"?account=second", map[string]any{"scopes": []string{"write"}}, approve)); status != 200 {
		t.Fatalf("second: got %d %s", status, body)
	}
	g := in.grant(grant)
	if len(g.References) != 2 {
		t.Fatalf("connections of the grant: got %v, want two", g.References)
	}
	in.expire(grant)
	nodes := []*testenv.Node{in.front.Join(t), in.front.Join(t)}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			if _, err := nodes[i%2].OAuth.Source.Fresh(t.Context(), grant); err != nil {
				t.Errorf("fresh: %v", err)
			}
		})
	}
	wg.Wait()
	if got := stats(t, p); got.Refreshes != 1 || got.Reuses != 0 {
		t.Errorf("provider counted %+v, want one refresh for both", got)
	}
	in.call("DELETE", onDemo, nil, nil)
	if got := stats(t, p); got.Revocations != 0 {
		t.Errorf("after the first disconnect: %d revocations, want none", got.Revocations)
	}
	in.call("DELETE", onDemo+"?account=second", nil, nil)
	if got := stats(t, p); got.Revocations != 1 {
		t.Errorf("after the last disconnect: %d revocations, want one", got.Revocations)
	}
}
