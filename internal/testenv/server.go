// Package testenv assembles Hawser for tests: on a real NATS server, with real HTTP,
// and with networks and providers that fail on request.
//
//	server.go    Env: an embedded NATS server, which can be stopped and restarted
//	node.go      Node: one process of an installation, without roles
//	roles.go     executors and ingresses that run until the test ends
//	queue.go     a queue without a node
//	received.go  what a core subscription has received
//	connector.go Probe: a connector with the test's own actions
//	browser.go   an end user's browser
//	wait.go      bounded waiting
//	proxy.go     a TCP proxy that pauses and cuts connections
//	loopback.go  loopback addresses for servers that are restarted
//	log.go       captured log lines
package testenv

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/embedded"
)

// Options of an [Env]. Nil and zero fields mean the defaults.
type Options struct {
	// Sync as in embedded.Options. Default "5s": tests do not lose power.
	Sync string
	// Prefix of all subjects. Default "hawser".
	Prefix string
	// MaxStore and MaxPayload as in embedded.Options.
	MaxStore   int64
	MaxPayload int32
}

// Env is one embedded server on a temporary folder, listening on a free port of
// loopback. Its methods may be called from several goroutines, but those that
// take a testing.TB only from the test's own.
type Env struct {
	opts embedded.Options

	mu     sync.Mutex
	server *embedded.Server // nil while stopped; guarded by mu
}

// Start starts a server for the test and stops it, waiting, when the test is
// over.
func Start(t testing.TB, opts *Options) *Env {
	t.Helper()
	if opts == nil {
		opts = &Options{}
	}
	env := &Env{opts: embedded.Options{
		DataDir: t.TempDir(), Listen: net.JoinHostPort(Loopback(t), "0"), Sync: opts.Sync, Prefix: opts.Prefix,
		MaxStore: opts.MaxStore, MaxPayload: opts.MaxPayload,
		Log: zerolog.New(zerolog.NewTestWriter(t)),
	}}
	if env.opts.Sync == "" {
		env.opts.Sync = "5s"
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Errorf("stop the test's NATS server: %v", err)
		}
	})
	env.start(t)
	return env
}

func (e *Env) start(t testing.TB) {
	t.Helper()
	server, err := embedded.Start(t.Context(), e.opts)
	if err != nil {
		t.Fatalf("start the test's NATS server: %v", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.server = server
	e.opts.Listen = strings.TrimPrefix(server.URL(), "nats://") // a restart keeps the port
}

// Server is the running server, nil while it is stopped.
func (e *Env) Server() *embedded.Server {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.server
}

// URL is the server's address; it stays the same over restarts.
func (e *Env) URL() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return "nats://" + e.opts.Listen
}

// DataDir is the server's data folder.
func (e *Env) DataDir() string { return e.opts.DataDir }

// Stop stops the server and waits for its end; stopped already is fine. The
// test's cleanup calls it.
func (e *Env) Stop() error {
	e.mu.Lock()
	server := e.server
	e.server = nil
	e.mu.Unlock()
	if server == nil {
		return nil
	}
	// The test's own context is over by the time of its cleanup.
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}

// Restart stops the server, if it runs, and starts it on the same store and the
// same port. Connections made by Conn and TenantConn come back by themselves.
func (e *Env) Restart(t testing.TB) {
	t.Helper()
	if err := e.Stop(); err != nil {
		t.Fatalf("stop the test's NATS server: %v", err)
	}
	e.start(t)
}

// InProcessConn implements nats.InProcessConnProvider for whatever server runs
// now, so that clients reconnect over restarts.
func (e *Env) InProcessConn() (net.Conn, error) {
	server := e.Server()
	if server == nil {
		return nil, errors.New("the test's NATS server is stopped")
	}
	return server.InProcessConn()
}

// Conn is an in-process connection with all rights in Hawser's account. It
// reconnects within milliseconds, for ever, and is closed by the test's
// cleanup. Options given here come last.
func (e *Env) Conn(t testing.TB, opts ...nats.Option) *nats.Conn {
	t.Helper()
	server := e.Server()
	if server == nil {
		t.Fatal("connect: the test's NATS server is stopped")
	}
	// The environment comes after the server's own provider, and so replaces it.
	nc, err := server.Connect(append(e.connOptions(), opts...)...)
	return mustConn(t, nc, err)
}

// TenantConn is an in-process connection with newly issued credentials of one
// tenant, given in subject tokens. Otherwise as Conn.
func (e *Env) TenantConn(t testing.TB, scopeToken, identityToken string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	creds, err := embedded.TenantCreds(e.opts.DataDir, scopeToken, identityToken, e.opts.Prefix)
	if err != nil {
		t.Fatalf("issue credentials of tenant %s.%s: %v", scopeToken, identityToken, err)
	}
	own := append(e.connOptions(), nats.UserCredentialBytes([]byte(creds.Reveal())))
	nc, err := nats.Connect("", append(own, opts...)...)
	return mustConn(t, nc, err)
}

func (e *Env) connOptions() []nats.Option {
	return []nats.Option{
		nats.InProcessServer(e), nats.MaxReconnects(-1),
		nats.ReconnectWait(5 * time.Millisecond), nats.ReconnectJitter(0, 0),
		nats.Timeout(30 * time.Second), // machines that test are busy
	}
}

func mustConn(t testing.TB, nc *nats.Conn, err error) *nats.Conn {
	t.Helper()
	if err != nil {
		t.Fatalf("connect to the test's NATS server: %v", err)
	}
	t.Cleanup(func() { closeAndWait(nc) })
	return nc
}

// closeAndWait returns when the connection has run its last handler, so that a
// leak check after the test sees none of its goroutines.
func closeAndWait(nc *nats.Conn) {
	if nc.IsClosed() {
		return
	}
	closed := make(chan struct{})
	theirs := nc.ClosedHandler()
	nc.SetClosedHandler(func(nc *nats.Conn) {
		if theirs != nil {
			theirs(nc)
		}
		close(closed)
	})
	nc.Close()
	<-closed
}
