package oauth_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/demo"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// hooked is a bucket whose writes go through a hook, which performs them by do.
type hooked struct {
	kvstore.Store
	hook *atomic.Pointer[func(op, key string, do func() error) error]
}

func (h hooked) GetLatest(ctx context.Context, key string) (kvstore.Entry, error) {
	return h.Store.(kvstore.LatestGetter).GetLatest(ctx, key)
}

func (h hooked) Create(ctx context.Context, key string, value []byte, ttl time.Duration) (revision uint64, err error) {
	err = h.write("create", key, func() error { revision, err = h.Store.Create(ctx, key, value, ttl); return err })
	return revision, err
}

func (h hooked) Update(ctx context.Context, key string, value []byte, revision uint64) (next uint64, err error) {
	err = h.write("update", key, func() error { next, err = h.Store.Update(ctx, key, value, revision); return err })
	return next, err
}

func (h hooked) Delete(ctx context.Context, key string, revision uint64) error {
	return h.write("delete", key, func() error { return h.Store.Delete(ctx, key, revision) })
}

func (h hooked) write(op, key string, do func() error) error {
	if hook := h.hook.Load(); hook != nil {
		return (*hook)(op, key, do)
	}
	return do()
}

// withHook returns an installation with the demo provider. set sets the hook for the
// writes of one of its buckets.
func withHook(t *testing.T, bucket string) (in *installation, p *demo.Provider, set func(func(op, key string, do func() error) error)) {
	t.Helper()
	hook := &atomic.Pointer[func(string, string, func() error) error]{}
	p = startDemo(t)
	in = installWith(t, testenv.NodeOptions{Wrap: func(name string, s kvstore.Store) kvstore.Store {
		if name != bucket {
			return s
		}
		return hooked{s, hook}
	}}, nil, demo.Connectors(p.URL())...)
	in.setApp("demo-oauth", demoApp)
	return in, p, func(f func(string, string, func() error) error) { hook.Store(&f) }
}

// await waits for another goroutine of the test.
func await(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Errorf("waited 30 s for: %s", what)
	}
}

var onAcme = records.NewRef(acme, "demo-oauth", "")

// expectUsable expects a connection with a live grant that can be renewed.
func (in *installation) expectUsable(t *testing.T) {
	t.Helper()
	c := in.demoConnection()
	g, err := in.front.Grants.Latest(t.Context(), c.Grant)
	if err != nil || g.State != records.GrantLive {
		t.Fatalf("the connection's grant: got %v, %v; want a live one", g, err)
	}
	if _, err := in.front.OAuth.Source.RenewNow(t.Context(), c.Grant); err != nil {
		t.Errorf("its refresh token: %v", err)
	}
}

// A disconnect has removed the record, and not yet released the grant. Meanwhile the
// account is authorised again: the grant has new tokens, and no record names it yet.
func TestAReconnectKeepsTheGrantThatADisconnectReleases(t *testing.T) {
	t.Parallel()
	in, _, hook := withHook(t, "connections")
	in.connectDemo()
	b := testenv.NewBrowser(t)
	callback := in.begin(b, onDemo+"?replace=true", map[string]any{}, approve)
	removed, granted, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	hook(func(op, _ string, do func() error) error {
		switch op {
		case "delete":
			err := do()
			close(removed)
			await(t, "the new grant", granted)
			return err
		case "create":
			close(granted)
			await(t, "the disconnect", left)
		}
		return do()
	})
	go func() {
		defer close(left)
		if err := in.front.OAuth.Connections.Disconnect(t.Context(), onAcme); err != nil {
			t.Errorf("disconnect: %v", err)
		}
	}()
	await(t, "the record to be removed", removed)
	if status, _, body := b.Get(callback); status != http.StatusOK {
		t.Fatalf("reconnect: got %d %s", status, body)
	}
	in.expectUsable(t)
}

// The account is authorised twice concurrently. The slower fails for good before the
// record of the faster is stored.
func TestAFailedConnectKeepsTheGrantOfAConcurrentOne(t *testing.T) {
	t.Parallel()
	in, _, hook := withHook(t, "connections")
	var callbacks [2]func() int
	for i := range callbacks {
		b := testenv.NewBrowser(t)
		callback := in.begin(b, onDemo, map[string]any{}, approve)
		callbacks[i] = func() int { status, _, _ := b.Get(callback); return status }
	}
	var creates atomic.Int32
	granted, failed := make(chan struct{}), make(chan struct{})
	hook(func(op, _ string, do func() error) error {
		switch {
		case op != "create":
		case creates.Add(1) == 1:
			close(granted)
			await(t, "the slower to fail", failed)
		default:
			return kvstore.ErrTooLarge
		}
		return do()
	})
	go func() {
		defer close(failed)
		await(t, "the grant of the faster", granted)
		if status := callbacks[1](); status == http.StatusOK {
			t.Error("the slower connected")
		}
	}()
	if status := callbacks[0](); status != http.StatusOK {
		t.Errorf("the faster: got %d", status)
	}
	in.expectUsable(t)
}

// In any order, a connection that exists has a live grant, and a grant without a
// connection is revoked.
func TestDisconnectAgainstReconnect(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, nil)
	other := in.front.Join(t)
	grant := in.connectDemo()
	for round := range rounds(t, 20) {
		b := testenv.NewBrowser(t)
		callback := in.begin(b, onDemo+"?replace=true", map[string]any{}, approve)
		var both sync.WaitGroup
		both.Go(func() { _ = other.OAuth.Connections.Disconnect(t.Context(), onAcme) }) // there may be none
		both.Go(func() {
			if status, _, body := b.Get(callback); status != http.StatusOK {
				t.Errorf("round %d: reconnect: got %d %s", round, status, body)
			}
		})
		both.Wait()
		if _, err := in.front.Service.Latest(t.Context(), onAcme); err == nil {
			in.expectUsable(t)
		} else {
			testenv.Eventually(t, "the grant to be revoked", func() bool { return in.deleted(grant) })
		}
	}
	if got := stats(t, p); got.Reuses != 0 {
		t.Errorf("provider counted %+v, want no reuse", got)
	}
}
