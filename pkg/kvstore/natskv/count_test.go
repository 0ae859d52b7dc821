package natskv_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/natskv"
)

func wantCount(t testing.TB, s *natskv.Store, filter string, want int) {
	t.Helper()
	got, err := s.Count(t.Context(), filter)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("Count(%s): got %d, want %d", filter, got, want)
	}
}

// load creates keys fast: key(i) for i below n. It returns the revisions.
func load(t testing.TB, js jetstream.JetStream, bucket string, n int, key func(int) string) []uint64 {
	t.Helper()
	acks := make([]jetstream.PubAckFuture, n)
	value := make([]byte, 600)
	for i := range n {
		ack, err := js.PublishAsync("$KV."+bucket+"."+key(i), value, jetstream.WithStallWait(testTimeout))
		if err != nil {
			t.Fatal(err)
		}
		acks[i] = ack
	}
	revisions := make([]uint64, n)
	for i, ack := range acks {
		select {
		case a := <-ack.Ok():
			revisions[i] = a.Sequence
		case err := <-ack.Err():
			t.Fatal(err)
		}
	}
	return revisions
}

func TestCountIsExactAmongTwentyThousandKeysWithDeletions(t *testing.T) {
	t.Parallel()
	const keys, connectors = 20_000, 20
	s, js := open(t)
	key := func(i int) string { return fmt.Sprintf("scope%d.user%d.connector%d.%d", i%10, i%100, i%connectors, i) }
	filter := func(i int) string { return fmt.Sprintf("*.*.connector%d.*", i%connectors) }
	revisions := load(t, js, "test", keys, key)
	var live [connectors]int
	for i := range live {
		live[i] = keys / connectors
	}
	wantCount(t, s, filter(7), live[7])

	for i := 0; i < keys; i += 37 {
		if err := s.Delete(t.Context(), key(i), revisions[i]); err != nil {
			t.Fatal(err)
		}
		live[i%connectors]--
		if i%3 == 0 { // and some of them are back
			mustCreate(t, s, key(i), "again")
			live[i%connectors]++
		}
		if i%2000 < 37 {
			wantCount(t, s, filter(i), live[i%connectors])
		}
	}
	for i := range 4 {
		wantCount(t, s, filter(i), live[i])
	}
	// Each scope is spread over two connectors.
	wantCount(t, s, "scope3.>", live[3]+live[13])

	stream, err := js.Stream(t.Context(), "KV_test")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Consumers; n != 0 {
		t.Errorf("%d consumers are left on the server, want 0", n)
	}
}

func TestCountIsExactWhileMarkersAndKeysExpire(t *testing.T) {
	t.Parallel()
	const kept, deleted, expiring = 20, 500, 100
	js := startNode(t).connect()
	s := mustOpen(t, js, natskv.Bucket{Name: "test", MarkerTTL: time.Second}, nil)
	w := watch(t, s, "expiring.*")
	load(t, js, "test", kept, func(i int) string { return fmt.Sprintf("mixed.kept%d", i) })
	for i := range expiring {
		if _, err := s.Create(t.Context(), fmt.Sprintf("expiring.%d", i), nil, time.Second); err != nil {
			t.Fatal(err)
		}
	}
	gone := func(i int) string { return fmt.Sprintf("mixed.gone%d", i) }
	for i, revision := range load(t, js, "test", deleted, gone) {
		if err := s.Delete(t.Context(), gone(i), revision); err != nil {
			t.Fatal(err)
		}
	}
	// Until the last marker has gone, those of the expired keys among them.
	for expired := 0; messages(t, js) > kept; {
		wantCount(t, s, "mixed.*", kept)
		for drained := false; !drained; {
			select {
			case e := <-w.Events():
				if e.Kind == kvstore.Deleted {
					expired++
				}
			default:
				drained = true
			}
		}
		// What expires during the call may or may not be counted.
		n, err := s.Count(t.Context(), "expiring.*")
		if err != nil {
			t.Fatal(err)
		}
		if n > expiring-expired {
			t.Fatalf("Count(expiring.*): got %d after %d of %d expired", n, expired, expiring)
		}
	}
	wantCount(t, s, ">", kept)
}

func messages(t testing.TB, js jetstream.JetStream) uint64 {
	t.Helper()
	stream, err := js.Stream(t.Context(), "KV_test")
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

func TestCountStaysWithinTheWritesMadeMeanwhile(t *testing.T) {
	t.Parallel()
	const still, moving = 200, 4
	s, js := open(t)
	load(t, js, "test", still, func(i int) string { return fmt.Sprintf("a.still%d", i) })
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(stop)
	for i := range moving {
		key := fmt.Sprintf("a.moving%d", i)
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if revision, err := s.Create(t.Context(), key, nil, 0); err != nil {
					t.Errorf("Create: %v", err)
				} else if err := s.Delete(t.Context(), key, revision); err != nil {
					t.Errorf("Delete: %v", err)
				}
			}
		})
	}
	for range 10 {
		n, err := s.Count(t.Context(), "a.*")
		if err != nil {
			t.Fatal(err)
		}
		if n < still-moving || n > still+moving {
			t.Errorf("got %d, want %d give or take %d", n, still, moving)
		}
	}
}
