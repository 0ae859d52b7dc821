package natskv_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/natskv"
)

// calls is every call of a store that waits for the server.
func calls(s *natskv.Store, revision uint64) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Get":       func(ctx context.Context) error { _, err := s.Get(ctx, "a"); return err },
		"GetLatest": func(ctx context.Context) error { _, err := s.GetLatest(ctx, "a"); return err },
		"Create":    func(ctx context.Context) error { _, err := s.Create(ctx, "b", nil, 0); return err },
		"Update":    func(ctx context.Context) error { _, err := s.Update(ctx, "a", nil, revision); return err },
		"Delete":    func(ctx context.Context) error { return s.Delete(ctx, "a", revision) },
		"Delete 0":  func(ctx context.Context) error { return s.Delete(ctx, "a", 0) },
		"Count":     func(ctx context.Context) error { _, err := s.Count(ctx, ">"); return err },
		"Watch":     func(ctx context.Context) error { _, err := s.Watch(ctx, ">"); return err },
		"List": func(ctx context.Context) error {
			for _, err := range s.List(ctx, ">") {
				return err
			}
			return nil
		},
	}
}

func TestCallsToAStoppedServerAreUnavailableInTime(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	s := mustOpen(t, n.connect(), natskv.Bucket{Name: "test"}, &natskv.Options{})
	revision := mustCreate(t, s, "a", "one")
	n.stop()
	var wg sync.WaitGroup // not subtests: they would wait one after the other
	defer wg.Wait()
	for name, call := range calls(s, revision) {
		wg.Go(func() {
			start := time.Now()
			err := call(t.Context()) // no deadline: the default of 2 s
			if !errors.Is(err, kvstore.ErrUnavailable) || errors.Is(err, kvstore.ErrNotFound) {
				t.Errorf("%s: got error %v, want unavailable", name, err)
			}
			if took := time.Since(start); took > 4*time.Second {
				t.Errorf("%s took %v, want about 2s", name, took)
			}
		})
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			start := time.Now()
			if err := call(ctx); !errors.Is(err, kvstore.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s with a deadline: got error %v, want unavailable, deadline exceeded", name, err)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("%s with a deadline of 50ms took %v", name, took)
			}
		})
	}
}

func TestStoreGoesOnAfterARestartOfTheServer(t *testing.T) {
	t.Parallel()
	n := startNode(t)
	s := mustOpen(t, n.connect(), natskv.Bucket{Name: "test"}, &natskv.Options{Timeout: 200 * time.Millisecond})
	revision := mustCreate(t, s, "a", "one")
	n.stop()
	n.start()
	// A call that was on its way when the connection broke runs out of time.
	_, err := s.Get(t.Context(), "a")
	for errors.Is(err, kvstore.ErrUnavailable) && t.Context().Err() == nil {
		_, err = s.Get(t.Context(), "a")
	}
	wantValue(t, s, "a", "one", revision)
	next, err := s.Update(t.Context(), "a", []byte("two"), revision)
	if err != nil {
		t.Fatal(err)
	}
	wantValue(t, s, "a", "two", next)
}

func TestCallsWithoutABucketAreUnavailable(t *testing.T) {
	t.Parallel()
	js := startNode(t).connect()
	s := mustOpen(t, js, natskv.Bucket{Name: "test"}, &natskv.Options{})
	revision := mustCreate(t, s, "a", "one")
	if err := js.DeleteStream(t.Context(), "KV_test"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for name, call := range calls(s, revision) {
		wg.Go(func() {
			err := call(t.Context())
			if !errors.Is(err, kvstore.ErrUnavailable) || errors.Is(err, kvstore.ErrNotFound) {
				t.Errorf("%s: got error %v, want unavailable", name, err)
			}
		})
	}
}
