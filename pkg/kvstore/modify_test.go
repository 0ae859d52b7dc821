package kvstore_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/memkv"
)

// append1 adds one to a value, whatever it is.
func append1(old []byte) ([]byte, error) { return append(old[:len(old):len(old)], '1'), nil }

func TestModifyCreatesUpdatesAndReturnsTheEntry(t *testing.T) {
	t.Parallel()
	s := memkv.New(nil)
	for i, want := range []string{"1", "11", "111"} {
		got, err := kvstore.Modify(t.Context(), s, "a", append1)
		if err != nil {
			t.Fatal(err)
		}
		diff := cmp.Diff(kvstore.Entry{Key: "a", Value: []byte(want), Revision: uint64(i + 1)}, got)
		if diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if stored, err := s.Get(t.Context(), "a"); err != nil || stored.Revision != got.Revision || string(stored.Value) != want {
			t.Errorf("stored: got %+v, %v", stored, err)
		}
	}
}

func TestModifyTellsAbsentFromEmpty(t *testing.T) {
	t.Parallel()
	s := memkv.New(nil)
	var seen []bool
	for range 2 {
		_, err := kvstore.Modify(t.Context(), s, "a", func(old []byte) ([]byte, error) {
			seen = append(seen, old == nil)
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]bool{true, false}, seen); diff != "" {
		t.Errorf("old was nil (-want +got):\n%s", diff)
	}
}

func TestModifyKeepsWhatTheFunctionKeeps(t *testing.T) {
	t.Parallel()
	s := memkv.New(nil)
	keep := func([]byte) ([]byte, error) { return []byte("x"), fmt.Errorf("no need: %w", kvstore.ErrKeep) }
	if e, err := kvstore.Modify(t.Context(), s, "a", keep); err != nil || e.Revision != 0 {
		t.Errorf("absent: got %+v, %v, want the zero entry", e, err)
	}
	if _, err := s.Create(t.Context(), "a", []byte("one"), 0); err != nil {
		t.Fatal(err)
	}
	e, err := kvstore.Modify(t.Context(), s, "a", keep)
	if err != nil || string(e.Value) != "one" || e.Revision != 1 || e.Created.IsZero() {
		t.Errorf("present: got %+v, %v, want the entry as it is", e, err)
	}
}

func TestModifyReturnsTheErrorOfTheFunction(t *testing.T) {
	t.Parallel()
	s := memkv.New(nil)
	refused := errors.New("refused")
	calls := 0
	_, err := kvstore.Modify(t.Context(), s, "a", func([]byte) ([]byte, error) { calls++; return nil, refused })
	if err != refused || calls != 1 {
		t.Errorf("got %v after %d calls, want the function's own error after 1", err, calls)
	}
	if _, err := s.Get(t.Context(), "a"); !errors.Is(err, kvstore.ErrNotFound) {
		t.Errorf("got %v, want nothing stored", err)
	}
}

// rival does something to the key before each of the first writes of others.
type rival struct {
	*memkv.Store
	moves []func(s *memkv.Store)
}

func (r *rival) move() {
	if len(r.moves) > 0 {
		r.moves[0](r.Store)
		r.moves = r.moves[1:]
	}
}

func (r *rival) Create(ctx context.Context, key string, value []byte, ttl time.Duration) (uint64, error) {
	r.move()
	return r.Store.Create(ctx, key, value, ttl)
}

func (r *rival) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	r.move()
	return r.Store.Update(ctx, key, value, revision)
}

func TestModifyRunsAgainAfterLostRaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		create := func(s *memkv.Store) { _, _ = s.Create(t.Context(), "a", []byte("rival "), 0) }
		update := func(s *memkv.Store) {
			e, _ := s.Get(t.Context(), "a")
			_, _ = s.Update(t.Context(), "a", append(e.Value, "again "...), e.Revision)
		}
		remove := func(s *memkv.Store) { _ = s.Delete(t.Context(), "a", 0) }
		r := &rival{memkv.New(nil), []func(*memkv.Store){create, update, remove, create}}
		var olds []string
		e, err := kvstore.Modify(t.Context(), r, "a", func(old []byte) ([]byte, error) {
			olds = append(olds, fmt.Sprintf("%q %t", old, old == nil))
			return append1(old)
		})
		if err != nil || string(e.Value) != "rival 1" {
			t.Errorf("got %q, %v", e.Value, err)
		}
		want := []string{`"" true`, `"rival " false`, `"rival again " false`, `"" true`, `"rival " false`}
		if diff := cmp.Diff(want, olds); diff != "" {
			t.Errorf("values seen by the function (-want +got):\n%s", diff)
		}
	})
}

// stale is a store whose Get is behind by one write.
type stale struct {
	*memkv.Store
	old kvstore.Entry
}

func (s *stale) Get(context.Context, string) (kvstore.Entry, error) { return s.old, nil }

func TestModifyReadsPastStaleReplicas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := memkv.New(nil)
		if _, err := m.Create(t.Context(), "a", []byte("old "), 0); err != nil {
			t.Fatal(err)
		}
		old, err := m.Get(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Update(t.Context(), "a", []byte("new "), old.Revision); err != nil {
			t.Fatal(err)
		}
		e, err := kvstore.Modify(t.Context(), &stale{m, old}, "a", append1)
		if err != nil || string(e.Value) != "new 1" {
			t.Errorf("got %q, %v, want the latest value modified", e.Value, err)
		}
	})
}

func TestModifyGivesUpAfterTooManyLostRaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &rival{Store: memkv.New(nil)}
		for i := range 1000 {
			r.moves = append(r.moves, func(s *memkv.Store) {
				_, _ = kvstore.Modify(t.Context(), s, "a", func([]byte) ([]byte, error) {
					return []byte(strconv.Itoa(i)), nil
				})
			})
		}
		start := time.Now()
		_, err := kvstore.Modify(t.Context(), r, "a", append1)
		if took := time.Since(start); !errors.Is(err, kvstore.ErrConflict) || took > 5*time.Second {
			t.Errorf("got %v after %v, want a conflict after about a second", err, took)
		}
	})
}

func TestModifyStopsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := &rival{Store: memkv.New(nil)}
		r.moves = append(r.moves, func(s *memkv.Store) {
			_, _ = s.Create(t.Context(), "a", nil, 0)
			cancel()
		})
		_, err := kvstore.Modify(ctx, r, "a", append1)
		if !errors.Is(err, kvstore.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want unavailable, canceled", err)
		}
	})
}

func TestModifyDoesNotRepeatAWriteThatMayHaveHappened(t *testing.T) {
	t.Parallel()
	s := &silent{memkv.New(nil), 0}
	_, err := kvstore.Modify(t.Context(), s, "a", append1)
	if !errors.Is(err, kvstore.ErrUnavailable) || s.writes != 1 {
		t.Errorf("got %v after %d writes, want unavailable after 1", err, s.writes)
	}
}

// silent is a store that does not answer to writes.
type silent struct {
	*memkv.Store
	writes int
}

func (s *silent) Create(context.Context, string, []byte, time.Duration) (uint64, error) {
	s.writes++
	return 0, kvstore.ErrUnavailable
}
