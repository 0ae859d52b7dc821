package natskv_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/natskv"
)

// listed counts how often each key comes, and runs each once per entry.
func listed(t *testing.T, s *natskv.Store, filter string, each func(n int)) map[string]int {
	t.Helper()
	times := map[string]int{}
	for e, err := range s.List(t.Context(), filter) {
		if err != nil {
			t.Fatal(err)
		}
		times[e.Key]++
		if each != nil {
			each(len(times))
		}
	}
	return times
}

func wantOnce(t *testing.T, times map[string]int, keys int) {
	t.Helper()
	if len(times) != keys {
		t.Errorf("got %d keys, want %d", len(times), keys)
	}
	for key, n := range times {
		if n != 1 {
			t.Errorf("%s came %d times, want once", key, n)
		}
	}
}

func TestListOfLargeValuesIsWhole(t *testing.T) {
	t.Parallel()
	const keys = 20
	s, _ := open(t)
	large := strings.Repeat("x", 512<<10) // 10 MiB in all, above one direct answer
	for i := range keys {
		mustCreate(t, s, fmt.Sprintf("a.%d", i), large)
	}
	wantOnce(t, listed(t, s, "a.*", nil), keys)
}

func TestListSurvivesTheLossOfItsConsumer(t *testing.T) {
	t.Parallel()
	const keys = 2000 // too many for one direct answer
	s, js := open(t)
	load(t, js, "test", keys, func(i int) string { return fmt.Sprintf("a.%d", i) })
	stream, err := js.Stream(t.Context(), "KV_test")
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	times := listed(t, s, ">", func(n int) {
		if n%300 != 0 {
			return
		}
		for name := range stream.ConsumerNames(t.Context()).Name() {
			if err := stream.DeleteConsumer(t.Context(), name); err != nil {
				t.Error(err)
			}
			lost++
		}
	})
	if lost == 0 {
		t.Error("no consumer was there to lose")
	}
	wantOnce(t, times, keys)
}

func TestListLeavesNothingOnTheServer(t *testing.T) {
	t.Parallel()
	s, js := open(t)
	load(t, js, "test", 2000, func(i int) string { return fmt.Sprintf("a.%d", i) })
	for range s.List(t.Context(), ">") {
		break
	}
	listed(t, s, ">", nil)
	stream, err := js.Stream(t.Context(), "KV_test")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Consumers; n != 0 {
		t.Errorf("%d consumers are left, want 0", n)
	}
}

func TestValueThatTheServerRefusesIsTooLarge(t *testing.T) {
	t.Parallel()
	s, js := open(t) // without a bound of ours
	above := []byte(strings.Repeat("x", 1<<20+1))
	if _, err := s.Create(t.Context(), "a", above, 0); !errors.Is(err, kvstore.ErrTooLarge) {
		t.Errorf("above the server's payload: got %v, want too large", err)
	}
	cfg := config(t, js, "test")
	cfg.MaxMsgSize = 500
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	_, err := s.Create(t.Context(), "a", above[:1000], 0)
	if !errors.Is(err, kvstore.ErrTooLarge) || !errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum) {
		t.Errorf("above the stream's message size: got %v, want too large", err)
	}
}
