package natskv_test

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/natskv"
)

// startCluster starts three servers with routes on free ports of the loopback,
// and returns a connection to each.
func startCluster(t *testing.T) []jetstream.JetStream {
	t.Helper()
	var servers []*server.Server
	t.Cleanup(func() {
		for _, s := range servers {
			s.Shutdown()
		}
		for _, s := range servers {
			s.WaitForShutdown()
		}
	})
	// JetStream wants a route to start as a cluster: the first server gets one
	// that leads nowhere, and the others find each other through the first.
	routes := []*url.URL{{Scheme: "nats-route", Host: "127.0.0.1:1"}}
	for i := range 3 {
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprintf("node%d", i), Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: t.TempDir(), Routes: routes,
			Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: -1},
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		servers = append(servers, s)
		if !s.ReadyForConnections(testTimeout) {
			t.Fatalf("a server of the cluster is not ready after %v", testTimeout)
		}
		routes = []*url.URL{{Scheme: "nats-route", Host: s.ClusterAddr().String()}}
	}
	connections := make([]jetstream.JetStream, len(servers))
	for i, s := range servers {
		connections[i] = connect(t, "", nats.InProcessServer(s))
	}
	return connections
}

// openReplicated opens one bucket of three replicas over every connection. It
// waits until the cluster has a leader.
func openReplicated(t *testing.T, connections []jetstream.JetStream) []*natskv.Store {
	t.Helper()
	b := natskv.Bucket{Name: "test"} // three copies, because it is a cluster
	impatient := &natskv.Options{Timeout: 500 * time.Millisecond}
	deadline := time.Now().Add(2 * testTimeout)
	for {
		_, err := natskv.Open(t.Context(), connections[0], b, impatient)
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	stores := make([]*natskv.Store, len(connections))
	for i, js := range connections {
		stores[i] = mustOpen(t, js, b, &natskv.Options{Timeout: 10 * time.Second})
	}
	return stores
}

func TestABucketInAClusterKeepsItsCopies(t *testing.T) {
	t.Parallel()
	connections := startCluster(t)
	openReplicated(t, connections)
	if got := config(t, connections[1], "test").Replicas; got != 3 {
		t.Errorf("a new bucket in a cluster has %d copies, want 3", got)
	}
}

func TestClusterKeepsWhatMattersExact(t *testing.T) {
	t.Parallel()
	stores := openReplicated(t, startCluster(t))
	t.Run("a conflict is a conflict through every server", func(t *testing.T) {
		t.Parallel()
		first := mustCreate(t, stores[0], "conflict.a", "one")
		second, err := stores[1].Update(t.Context(), "conflict.a", []byte("two"), first)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range stores {
			if _, err := s.Update(t.Context(), "conflict.a", nil, first); !errors.Is(err, kvstore.ErrConflict) {
				t.Errorf("server %d: Update: got %v, want a conflict", i, err)
			}
			if _, err := s.Create(t.Context(), "conflict.a", nil, 0); !errors.Is(err, kvstore.ErrExists) {
				t.Errorf("server %d: Create: got %v, want exists", i, err)
			}
			if err := s.Delete(t.Context(), "conflict.a", first); !errors.Is(err, kvstore.ErrConflict) {
				t.Errorf("server %d: Delete: got %v, want a conflict", i, err)
			}
			wantValue(t, s, "conflict.a", "two", second)
		}
	})
	t.Run("get latest sees what another server has acknowledged", func(t *testing.T) {
		t.Parallel()
		revision := mustCreate(t, stores[0], "latest.a", "0")
		for i := range 100 {
			var err error
			value := strconv.Itoa(i)
			if revision, err = stores[i%3].Update(t.Context(), "latest.a", []byte(value), revision); err != nil {
				t.Fatal(err)
			}
			wantValue(t, stores[(i+1)%3], "latest.a", value, revision)
		}
	})
	t.Run("count sees every write", func(t *testing.T) {
		t.Parallel()
		live := 0
		for i := range 30 {
			key := fmt.Sprintf("count.%d", i)
			revision := mustCreate(t, stores[i%3], key, "")
			live++
			waitForCount(t, stores[(i+1)%3], "count.*", live)
			if i%2 == 0 {
				if err := stores[(i+2)%3].Delete(t.Context(), key, revision); err != nil {
					t.Fatal(err)
				}
				live--
				waitForCount(t, stores[i%3], "count.*", live)
			}
		}
	})
	t.Run("racers lose no increment", func(t *testing.T) {
		t.Parallel()
		const racers, each = 6, 10
		var wg sync.WaitGroup
		for i := range racers {
			wg.Go(func() {
				for range each {
					_, err := kvstore.Modify(t.Context(), stores[i%3], "race.counter", func(old []byte) ([]byte, error) {
						n, _ := strconv.Atoi(string(old))
						return []byte(strconv.Itoa(n + 1)), nil
					})
					if err != nil {
						t.Errorf("Modify: %v", err)
					}
				}
			})
		}
		wg.Wait()
		e, err := stores[0].GetLatest(t.Context(), "race.counter")
		if err != nil || string(e.Value) != strconv.Itoa(racers*each) {
			t.Errorf("got %q, %v, want %d", e.Value, err, racers*each)
		}
	})
	t.Run("a watcher sees what another server has written", func(t *testing.T) {
		t.Parallel()
		w := watch(t, stores[0], "watch.>")
		revision := mustCreate(t, stores[1], "watch.a", "")
		wantEvent(t, w, kvstore.Event{Kind: kvstore.Put, Key: "watch.a", Revision: revision})
		if err := stores[2].Delete(t.Context(), "watch.a", revision); err != nil {
			t.Fatal(err)
		}
		if e := next(t, w); e.Kind != kvstore.Deleted {
			t.Errorf("got %+v, want a deleted", e)
		}
	})
}

// waitForCount waits until a follower, which may answer, has the newest write.
func waitForCount(t *testing.T, s *natskv.Store, filter string, want int) {
	t.Helper()
	for {
		n, err := s.Count(t.Context(), filter)
		if err != nil {
			t.Fatalf("Count(%s): got %d, %v, want %d", filter, n, err, want)
		}
		if n == want {
			return
		}
	}
}
