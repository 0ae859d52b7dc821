package kvtest

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

const racers = 8

func raceChecks() []check {
	return []check{
		{"modify loses no increment", testModify},
		{"of eight racers one creates a key, also after its deletion", func(t *testing.T, s kvstore.Store) {
			for range 10 {
				testOneWins(t, kvstore.ErrExists, func() error {
					_, err := s.Create(t.Context(), "a", []byte("same value"), 0)
					return err
				})
				mustDelete(t, s, "a", 0)
			}
		}},
		{"of eight racers one updates a revision", func(t *testing.T, s kvstore.Store) {
			mustCreate(t, s, "a", "")
			for range 10 {
				e, err := s.Get(t.Context(), "a")
				if err != nil {
					t.Fatal(err)
				}
				testOneWins(t, kvstore.ErrConflict, func() error {
					_, err := s.Update(t.Context(), "a", []byte("same value"), e.Revision)
					return err
				})
			}
		}},
		{"of eight racers one deletes a revision", func(t *testing.T, s kvstore.Store) {
			for range 10 {
				revision := mustCreate(t, s, "a", "")
				testOneWins(t, kvstore.ErrNotFound, func() error { return s.Delete(t.Context(), "a", revision) })
			}
		}},
		{"of eight racers one deletes whatever is there", func(t *testing.T, s kvstore.Store) {
			for range 10 {
				mustCreate(t, s, "a", "")
				testOneWins(t, kvstore.ErrNotFound, func() error { return s.Delete(t.Context(), "a", 0) })
			}
		}},
		{"of an update and a deletion one wins", testUpdateAgainstDelete},
	}
}

// testOneWins runs call eight times at once; one has to succeed, and the others
// have to fail with lost.
func testOneWins(t *testing.T, lost error, call func() error) {
	t.Helper()
	var won atomic.Int32
	together(func(int) {
		switch err := call(); {
		case err == nil:
			won.Add(1)
		case !errors.Is(err, lost):
			t.Errorf("loser: got error %v, want %v", err, lost)
		}
	})
	if won.Load() != 1 {
		t.Fatalf("%d racers won, want 1", won.Load())
	}
}

// together runs f in eight goroutines that start at the same time, and waits.
func together(f func(racer int)) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for racer := range racers {
		wg.Go(func() {
			<-start
			f(racer)
		})
	}
	close(start)
	wg.Wait()
}

func testModify(t *testing.T, s kvstore.Store) {
	const each = 10
	together(func(int) {
		for range each {
			_, err := kvstore.Modify(t.Context(), s, "counter", func(old []byte) ([]byte, error) {
				n, _ := strconv.Atoi(string(old))
				return []byte(strconv.Itoa(n + 1)), nil
			})
			if err != nil {
				t.Errorf("Modify: %v", err)
			}
		}
	})
	e, err := s.Get(t.Context(), "counter")
	if err != nil {
		t.Fatal(err)
	}
	if want := strconv.Itoa(racers * each); string(e.Value) != want {
		t.Errorf("counter is %s, want %s", e.Value, want)
	}
}

func testUpdateAgainstDelete(t *testing.T, s kvstore.Store) {
	for range 10 {
		revision := mustCreate(t, s, "a", "one")
		var updated, deleted atomic.Bool
		together(func(racer int) {
			switch racer {
			case 0:
				_, err := s.Update(t.Context(), "a", []byte("two"), revision)
				updated.Store(err == nil)
			case 1:
				deleted.Store(s.Delete(t.Context(), "a", revision) == nil)
			}
		})
		if updated.Load() == deleted.Load() {
			t.Fatalf("updated %t and deleted %t, want one of them", updated.Load(), deleted.Load())
		}
		_, err := s.Get(t.Context(), "a")
		if there := err == nil; there != updated.Load() {
			t.Fatalf("the key is there: %t, want %t", there, updated.Load())
		}
		if updated.Load() {
			mustDelete(t, s, "a", 0)
		}
	}
}
