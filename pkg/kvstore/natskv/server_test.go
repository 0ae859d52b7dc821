package natskv_test

import (
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/hawser-io/hawser/pkg/kvstore/natskv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a NATS server in this process that can be stopped and started again
// over the same data, without a port.
type node struct {
	t       testing.TB
	dir     string
	running atomic.Pointer[server.Server]
}

func startNode(t testing.TB) *node {
	t.Helper()
	n := &node{t: t, dir: t.TempDir()}
	t.Cleanup(n.stop)
	n.start()
	return n
}

func (n *node) start() {
	n.t.Helper()
	s, err := server.NewServer(&server.Options{
		DontListen: true, JetStream: true, StoreDir: n.dir, NoSigs: true, NoLog: true,
	})
	if err != nil {
		n.t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		n.t.Fatal("the server is not ready after 30s")
	}
	n.running.Store(s)
}

func (n *node) stop() {
	if s := n.running.Swap(nil); s != nil {
		s.Shutdown()
		s.WaitForShutdown()
	}
}

// InProcessConn implements nats.InProcessConnProvider over whichever server
// runs now.
func (n *node) InProcessConn() (net.Conn, error) {
	s := n.running.Load()
	if s == nil {
		return nil, fmt.Errorf("the server is stopped")
	}
	return s.InProcessConn()
}

func (n *node) connect() jetstream.JetStream {
	n.t.Helper()
	return connect(n.t, "", nats.InProcessServer(n))
}

func connect(t testing.TB, url string, opts ...nats.Option) jetstream.JetStream {
	t.Helper()
	opts = append(opts, nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0), nats.MaxReconnects(-1),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // the tests break connections
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// open opens a bucket on a server of its own.
func open(t testing.TB) (*natskv.Store, jetstream.JetStream) {
	t.Helper()
	js := startNode(t).connect()
	return mustOpen(t, js, natskv.Bucket{Name: "test"}, nil), js
}

// mustOpen opens a bucket. Without options, calls have half a minute instead of
// the default, since the machine may be busy.
func mustOpen(t testing.TB, js jetstream.JetStream, b natskv.Bucket, opts *natskv.Options) *natskv.Store {
	t.Helper()
	if opts == nil {
		opts = &natskv.Options{Timeout: testTimeout}
	}
	s, err := natskv.Open(t.Context(), js, b, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
