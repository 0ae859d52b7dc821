package testenv

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Cluster is three NATS servers with JetStream on loopback, without credentials.
type Cluster struct {
	servers []*server.Server
	options []*server.Options
}

// StartCluster starts the servers, and stops them when the test ends.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{}
	folder := t.TempDir() // is removed after the servers have stopped
	t.Cleanup(func() {
		for _, s := range c.servers {
			s.Shutdown()
		}
		for _, s := range c.servers {
			s.WaitForShutdown()
		}
	})
	host := Loopback(t)
	// JetStream wants a route to start as a cluster: the first server gets one
	// that leads nowhere, and each of the others one to those before it.
	routes := []*url.URL{{Scheme: "nats-route", Host: "127.0.0.1:1"}}
	for i := range 3 {
		o := &server.Options{
			ServerName: fmt.Sprintf("node%d", i), Host: host, Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: filepath.Join(folder, strconv.Itoa(i)), Routes: routes,
			Cluster: server.ClusterOpts{Name: "test", Host: host, Port: server.RANDOM_PORT},
		}
		s := startServer(t, o)
		c.servers, c.options = append(c.servers, s), append(c.options, o)
		route := &url.URL{Scheme: "nats-route", Host: s.ClusterAddr().String()}
		if i == 0 {
			routes = nil
		}
		routes = append(slices.Clone(routes), route)
	}
	Eventually(t, "the cluster has a leader with three servers", func() bool {
		for _, s := range c.servers {
			if s.JetStreamIsLeader() {
				return len(s.JetStreamClusterPeers()) == len(c.servers)
			}
		}
		return false
	})
	return c
}

func startServer(t testing.TB, o *server.Options) *server.Server {
	t.Helper()
	s, err := server.NewServer(o)
	Must(t, err)
	s.Start()
	if !s.ReadyForConnections(MaxWait) {
		t.Fatalf("a server of the cluster is not ready after %v", MaxWait)
	}
	return s
}

// URL is the client address of a server, which need not run.
func (c *Cluster) URL(n int) string { return c.servers[n].ClientURL() }

// Stop stops a server.
func (c *Cluster) Stop(n int) {
	c.servers[n].Shutdown()
	c.servers[n].WaitForShutdown()
}

// Leader returns the number of the server that leads JetStream, or -1.
func (c *Cluster) Leader() int {
	for n, s := range c.servers {
		if s.Running() && s.JetStreamIsLeader() {
			return n
		}
	}
	return -1
}

// Conn is a connection to one server, which is closed when the test ends.
func (c *Cluster) Conn(t testing.TB, n int, opts ...nats.Option) *nats.Conn {
	t.Helper()
	own := []nats.Option{nats.MaxReconnects(-1), nats.ReconnectWait(5 * time.Millisecond), nats.ReconnectJitter(0, 0), nats.Timeout(MaxWait)}
	nc, err := nats.Connect(c.URL(n), append(own, opts...)...)
	return mustConn(t, nc, err)
}
