package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/refresher"
	"github.com/hawser-io/hawser/pkg/events"
)

// rounds of the race; HAWSER_SOAK_ROUNDS=200 is what `make soak` runs.
func rounds(t *testing.T) int {
	text := os.Getenv("HAWSER_SOAK_ROUNDS")
	if text == "" {
		return 5
	}
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// runExecutor adds an executor process to the installation.
func (in *installation) runExecutor(t testing.TB) *node {
	t.Helper()
	n := in.join(t)
	x := executor.New(executor.Parts{
		Bus: n.bus, Registry: in.registry, Store: n.store, Definitions: n.definitions, Scopes: n.scopes,
		Claims: connection.NewClaims(n.buckets), Status: connection.NewStatusWriter(n.buckets), HTTP: n.http, OAuth: n.tokens,
	}, &executor.Options{Log: zerolog.New(in.logs)})
	must(t, x.Prepare(t.Context()))
	n.caches(t)
	serving := make(chan struct{})
	run(t, func(ctx context.Context) error {
		return x.Run(ctx, context.WithoutCancel(ctx), sync.OnceFunc(func() { close(serving) }))
	})
	<-serving
	return n
}

// runRefresher adds a refresher process.
func (in *installation) runRefresher(t testing.TB) *node {
	t.Helper()
	n := in.join(t)
	r := refresher.New(refresher.Parts{Bus: n.bus, Tokens: n.tokens, Grants: n.grants, Leases: n.leases}, &refresher.Options{Log: zerolog.New(in.logs)})
	n.caches(t)
	run(t, func(ctx context.Context) error { return r.Run(ctx, context.WithoutCancel(ctx), func() {}) })
	return n
}

// caches keeps the node's records in memory, as programs do.
func (n *node) caches(t testing.TB) {
	run(t, n.grants.Run)
	run(t, n.store.Run)
	run(t, n.apps.Run)
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 30 s for: %s", what)
		}
	}
}

// TestOneRefreshForAllWhoNeedIt is the promise of this package: four executors with
// 64 actions and two refreshers meet an expired, rotating token, and the provider
// sees one refresh and no reuse, round after round.
func TestOneRefreshForAllWhoNeedIt(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, nil)
	grant := in.connectDemo()
	var nodes []*node
	for range 4 {
		nodes = append(nodes, in.runExecutor(t))
	}
	for range 2 {
		nodes = append(nodes, in.runRefresher(t))
	}
	for round := 1; round <= rounds(t); round++ {
		expired := in.expire(grant)
		for _, n := range nodes {
			eventually(t, "the caches of all to know", func() bool {
				g, err := n.grants.Get(t.Context(), grant)
				return err == nil && g.ExpiresAt.Equal(expired.ExpiresAt)
			})
		}
		must(t, in.front.bus.ScheduleRefresh(t.Context(), grant, time.Now()))
		began := time.Now()
		if failures := in.act(t, 64, fmt.Sprintf("round-%d", round)); len(failures) > 0 {
			t.Fatalf("round %d: %d of 64 actions failed, the first with %s", round, len(failures), failures[0])
		}
		t.Logf("round %d: 64 actions in %s", round, time.Since(began).Round(time.Millisecond))
		if got := stats(t, p); got.Refreshes != round || got.Reuses != 0 {
			t.Fatalf("round %d: provider counted %+v, want %d refreshes and no reuse", round, got, round)
		}
	}
}

// act runs n actions at once and returns what the failed ones said.
func (in *installation) act(t testing.TB, n int, id string) (failures []string) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			a := events.Action{ActionRef: events.ActionRef{Tenant: acme, Connector: "demo-oauth", Action: "me"}, ID: fmt.Sprintf("%s-%d", id, i), Input: []byte(`{}`)}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			e, err := in.front.bus.Request(ctx, a)
			for errors.Is(err, events.ErrUnavailable) && ctx.Err() == nil {
				e, err = in.front.bus.Request(ctx, a) // a busy machine; the id makes it one request
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

func TestSiblingsShareOneRotation(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, nil)
	grant := in.connectDemo()
	b := newBrowser(t)
	if status, _, body := b.get(in.begin(b, onDemo+"?account=second", map[string]any{"scopes": []string{"write"}}, approve)); status != 200 {
		t.Fatalf("second: got %d %s", status, body)
	}
	g := in.grant(grant)
	if len(g.Connections) != 2 {
		t.Fatalf("connections of the grant: got %v, want two", g.Connections)
	}
	in.expire(grant)
	nodes := []*node{in.join(t), in.join(t)}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			if _, err := nodes[i%2].tokens.Fresh(t.Context(), grant); err != nil {
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
