package natskv_test

import (
	"context"
	"errors"
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
		"Sweep":     func(ctx context.Context) error { _, err := s.Sweep(ctx); return err },
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
	js := n.connect()
	s := mustOpen(t, js, natskv.Bucket{Name: "test"}, nil)
	revision := mustCreate(t, s, "a", "one")
	n.stop()
	for name, call := range calls(s, revision) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			err := call(t.Context()) // no deadline: the default of 2 s
			took := time.Since(start)
			if !errors.Is(err, kvstore.ErrUnavailable) || errors.Is(err, kvstore.ErrNotFound) {
				t.Errorf("got error %v, want unavailable", err)
			}
			if took > 4*time.Second {
				t.Errorf("took %v, want about 2s", took)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			start = time.Now()
			if err := call(ctx); !errors.Is(err, kvstore.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("with a deadline: got error %v, want unavailable, deadline exceeded", err)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("with a deadline of 50ms: took %v", took)
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
	s, js := open(t)
	revision := mustCreate(t, s, "a", "one")
	if err := js.DeleteStream(t.Context(), "KV_test"); err != nil {
		t.Fatal(err)
	}
	for name, call := range calls(s, revision) {
		if err := call(t.Context()); !errors.Is(err, kvstore.ErrUnavailable) || errors.Is(err, kvstore.ErrNotFound) {
			t.Errorf("%s: got error %v, want unavailable", name, err)
		}
	}
}
