package executor_test

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

var bob = testenv.Org("bob")

// flood publishes count requests of ava without waiting for each.
func flood(t *testing.T, n *testenv.Node, ref events.ActionRef, count int) {
	t.Helper()
	var acks []*events.AckFuture
	for range count {
		p, err := n.Bus.PublishAsync(t.Context(), n.Bus.Subjects.Action(ref), &events.Message{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if acks = append(acks, p); len(acks) == 500 {
			settle(t, acks)
			acks = acks[:0]
		}
	}
	settle(t, acks)
}

func settle(t *testing.T, acks []*events.AckFuture) {
	t.Helper()
	for _, p := range acks {
		if _, err := p.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// working is an action that takes a time and knows how many of it run at once.
type working struct {
	mu      sync.Mutex
	running map[string]int // identity → handlers that run
	total   int
	most    int
	done    atomic.Int32
}

func (w *working) action(key string, takes time.Duration) connectors.Action {
	return connectors.Action{Key: key, Idempotent: true, Handler: func(_ context.Context, call *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
		w.mu.Lock()
		w.running[call.Identity]++
		w.total++
		w.most = max(w.most, w.total)
		w.mu.Unlock()
		<-time.After(takes)
		w.mu.Lock()
		w.running[call.Identity]--
		w.total--
		w.mu.Unlock()
		w.done.Add(1)
		return json.RawMessage(`{}`), nil
	}}
}

func TestAFloodOfOneTenantDoesNotStarveAnother(t *testing.T) {
	t.Parallel()
	const requests = 5000
	w := &working{running: map[string]int{}}
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", "", w.action("work", 5*time.Millisecond))}})
	n.Connect(t, ava, "probe", key)
	n.Connect(t, bob, "probe", key)
	flood(t, n, testenv.Ref(ava, "probe", "work"), requests)
	results := n.Listen(t, "hawser.result.organization.bob.>")
	n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(bob, "probe", "work")), nil, "")
	began := time.Now()
	role := n.StartExecutor(t, nil)
	if got := results.Outcome(t); got.Code() != "" {
		t.Fatalf("got %+v", got.Error)
	}
	before := w.done.Load()
	t.Logf("answered after %v and %d of the flood's %d requests", time.Since(began), before, requests)
	if before > requests/2 {
		t.Errorf("another tenant's request waited for %d of %d", before, requests)
	}
	if err := role.Stop(); err != nil { // and nothing is lost on the way
		t.Fatal(err)
	}
	answered := n.Count(t, events.Results, ">")
	testenv.Eventually(t, "every request has a result or is queued", func() bool { // acknowledged messages are removed soon
		return answered+n.Count(t, events.Actions, ">")+n.Count(t, queue.Parked, ">") == requests+1
	})
	if w.most > 64 {
		t.Errorf("%d handlers ran at once, want at most 64", w.most)
	}
	if got := int(w.done.Load()); got != answered {
		t.Errorf("%d calls for %d results", got, answered)
	}
}

// blocking is an action that waits until the test releases it.
func blocking(key string, running *atomic.Int32, release <-chan struct{}) connectors.Action {
	return connectors.Action{Key: key, Idempotent: true, Handler: func(ctx context.Context, _ *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
		running.Add(1)
		defer running.Add(-1)
		select {
		case <-release:
		case <-ctx.Done():
		}
		return json.RawMessage(`{}`), nil
	}}
}

func TestATenantWhoseProviderHangsDelaysNoOther(t *testing.T) {
	t.Parallel()
	var running atomic.Int32
	release := make(chan struct{})
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{
		testenv.Probe("probe", "", blocking("hang", &running, release), echo()), testenv.Probe("other", "", echo())}})
	n.StartExecutor(t, &executor.Options{Concurrency: 16})
	for _, tenant := range []events.Tenant{ava, bob} {
		n.Connect(t, tenant, "probe", key)
		n.Connect(t, tenant, "other", key)
	}
	flood(t, n, testenv.Ref(ava, "probe", "hang"), 100)
	testenv.Eventually(t, "ava has her share", func() bool { return running.Load() == 12 })
	urgent := events.Header{"ce-hawserpriority": {"high"}}
	for name, c := range map[string]struct {
		ref    events.ActionRef
		header events.Header
	}{
		"another connector":          {testenv.Ref(ava, "other", "echo"), nil},
		"another tenant":             {testenv.Ref(bob, "probe", "echo"), nil},
		"her own that is urgent":     {testenv.Ref(ava, "probe", "echo"), urgent},
		"another's that is urgent":   {testenv.Ref(bob, "probe", "echo"), urgent},
		"another tenant's connector": {testenv.Ref(bob, "other", "echo"), nil},
	} {
		results := n.Listen(t, n.Bus.Subjects.Result(c.ref, "r-"+name[:9]))
		h := events.Header{"ce-id": {"r-" + name[:9]}}
		for k, v := range c.header {
			h[k] = v
		}
		n.Publish(t, n.Bus.Subjects.Action(c.ref), h, `{"text":"x"}`)
		if got := results.Outcome(t); got.Code() != "" {
			t.Errorf("%s: %+v", name, got.Error)
		}
	}
	// The same by request-reply: callers that wait for one connector.
	for range 50 {
		go func() {
			_, _, _ = n.Bus.Request(t.Context(), n.Bus.Subjects.Call(testenv.Ref(ava, "probe", "hang")), nil)
		}()
	}
	header, reply, err := n.Bus.Request(t.Context(), n.Bus.Subjects.Call(testenv.Ref(bob, "other", "echo")), []byte(`{"text":"x"}`))
	if err != nil || string(reply) != `{"data":{"text":"x"}}` {
		t.Errorf("call: %v %s %v", header, reply, err)
	}
	if got := running.Load(); got != 12 {
		t.Errorf("%d of ava's handlers run, want three quarters of 16", got)
	}
	close(release)
	testenv.Eventually(t, "everything is answered", func() bool { return n.Count(t, events.Actions, ">")+n.Count(t, queue.Parked, ">") == 0 })
}

func TestHandlersOfAConnectorAreBounded(t *testing.T) {
	t.Parallel()
	var running atomic.Int32
	release := make(chan struct{})
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", "", blocking("hang", &running, release))}})
	n.StartExecutor(t, &executor.Options{Concurrency: 4})
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		n.Connect(t, testenv.Org(name), "probe", key)
		flood(t, n, testenv.Ref(testenv.Org(name), "probe", "hang"), 5)
	}
	testenv.Eventually(t, "all places are taken", func() bool { return running.Load() == 4 })
	results := n.Listen(t, "hawser.result.>")
	if running.Load() != 4 || results.Left() != 0 {
		t.Errorf("%d handlers run, %d results, want 4 and none", running.Load(), results.Left())
	}
	close(release)
	for range 40 {
		results.Outcome(t)
	}
}

func TestASinglePlaceServesEveryone(t *testing.T) {
	t.Parallel()
	w := &working{running: map[string]int{}}
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", "", w.action("work", 0))}})
	n.StartExecutor(t, &executor.Options{Concurrency: 1})
	results := n.Listen(t, "hawser.result.>")
	for _, tenant := range []events.Tenant{ava, bob} {
		n.Connect(t, tenant, "probe", key)
		flood(t, n, testenv.Ref(tenant, "probe", "work"), 50)
	}
	for range 100 {
		if got := results.Outcome(t); got.Code() != "" {
			t.Fatalf("got %+v", got.Error)
		}
	}
	if w.most != 1 {
		t.Errorf("%d handlers ran at once, want 1", w.most)
	}
}
