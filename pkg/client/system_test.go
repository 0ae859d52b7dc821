package client_test

import (
	"bytes"
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/app"
	"github.com/hawser-io/hawser/pkg/client"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/events"
)

// system is an installation: a NATS server, an ingress and an executor, run by
// their own mains.
type system struct {
	*testenv.Env
	echo *echo
}

// startSystem starts an installation whose executor serves the echo connector.
func startSystem(t testing.TB) *system {
	t.Helper()
	s := &system{testenv.Start(t, nil), newEcho()}
	keyset := filepath.Join(t.TempDir(), "keyset.json")
	text, err := crypto.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	if err := crypto.SaveKeyset(keyset, text, nil); err != nil {
		t.Fatal(err)
	}
	args := []string{"--nats-url", s.URL(), "--nats-creds", s.Server().CredsPath(), "--keyset", keyset, "--http", "127.0.0.1:0", "--grace", "5s", "--log-level", "warn"}
	executor := play(t, "executor", args, s.echo.connector())
	executor.awaitReady(t) // it brings the connector
	ingress := play(t, "ingress", args)
	ingress.awaitReady(t)
	t.Cleanup(func() { executor.stop(); ingress.stop() }) // at once, so that both drain together
	return s
}

// client is a client with all rights.
func (s *system) client(t testing.TB, opts *client.Options) *client.Client {
	t.Helper()
	return newClient(t, s.Conn(t), opts)
}

// tenant is a client with the credentials of one tenant.
func (s *system) tenant(t *testing.T, scope, identity string) *client.Client {
	t.Helper()
	return newClient(t, s.TenantConn(t, events.Token(scope), events.Token(identity)), &client.Options{Tenant: true})
}

func newClient(t testing.TB, nc *nats.Conn, opts *client.Options) *client.Client {
	t.Helper()
	if opts == nil {
		opts = &client.Options{}
	}
	if opts.OnError == nil {
		opts.OnError = func(err error) { t.Errorf("OnError: %v", err) }
	}
	if opts.PublishTimeout == 0 {
		opts.PublishTimeout = waitLimit
	}
	c, err := client.New(nc, opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// role is one of Hawser's programs, run inside of the test.
type role struct {
	name  string
	stop  context.CancelFunc
	out   *output
	ended chan int
}

// play starts a role; its end, waited for, is the test's cleanup.
func play(t testing.TB, name string, args []string, own ...connectors.Connector) *role {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background()) // the test's own is over before its cleanup
	r := &role{name, stop, &output{ready: make(chan struct{})}, make(chan int, 1)}
	go func() { r.ended <- app.Run(ctx, name, args, r.out, own...) }()
	t.Cleanup(func() {
		stop()
		if status := <-r.ended; status != 0 {
			t.Errorf("%s ended with status %d:\n%s", name, status, r.out)
		}
	})
	return r
}

func (r *role) awaitReady(t testing.TB) {
	t.Helper()
	select {
	case <-r.out.ready:
	case status := <-r.ended:
		r.ended <- status
		t.Fatalf("%s ended with status %d:\n%s", r.name, status, r.out)
	}
}

// output collects what a role writes, and tells when it is ready.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	ready chan struct{}
	once  sync.Once
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if bytes.HasPrefix(p, []byte("hawser is ready")) {
		o.once.Do(func() { close(o.ready) })
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
