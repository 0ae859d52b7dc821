package kvtest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

// entryChecks are what [modelChecks] leaves open.
func entryChecks() []check {
	return []check{
		{"an entry says when it was written", testCreated},
		{"values may be empty or any bytes", testValues},
		{"values are copied in and out", testCopies},
		{"a ttl that is not whole seconds is refused", testBadTTL},
		{"a call whose context has ended is unavailable", testEndedContext},
		{"errors name the key and never the value", testErrorText},
	}
}

func testCreated(t *testing.T, s kvstore.Store) {
	revision := mustCreate(t, s, "a", "one")
	first, err := s.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	// The store's clock may be another machine's: only its progress is tested.
	mustUpdate(t, s, "a", "two", revision)
	second, err := s.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if first.Created.IsZero() || second.Created.Before(first.Created) {
		t.Errorf("created %v, then updated %v: want times that grow", first.Created, second.Created)
	}
}

func testValues(t *testing.T, s kvstore.Store) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	values := map[string][]byte{
		"nil": nil, "empty": {}, "bytes": every, "long": bytes.Repeat([]byte("x"), 4<<10),
		"looks-like-a-header": []byte("NATS/1.0 404\r\n\r\n"),
	}
	for key, value := range values {
		revision, err := s.Create(t.Context(), key, value, 0)
		if err != nil {
			t.Fatalf("Create(%q): %v", key, err)
		}
		wantEntry(t, s, key, string(value), revision)
		wantEntry(t, s, key, string(value), mustUpdate(t, s, key, string(value), revision))
	}
	for e, err := range s.List(t.Context(), ">") {
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(e.Value, values[e.Key]) {
			t.Errorf("List: %q is %q, want %q", e.Key, e.Value, values[e.Key])
		}
	}
}

func testCopies(t *testing.T, s kvstore.Store) {
	value := []byte("one")
	revision, err := s.Create(t.Context(), "a", value, 0)
	if err != nil {
		t.Fatal(err)
	}
	value[0] = 'X'
	wantEntry(t, s, "a", "one", revision)

	e, err := s.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	e.Value[0] = 'X'
	for e := range s.List(t.Context(), "a") {
		e.Value[0] = 'X'
	}
	wantEntry(t, s, "a", "one", revision)

	value = []byte("two")
	if revision, err = s.Update(t.Context(), "a", value, revision); err != nil {
		t.Fatal(err)
	}
	value[0] = 'X'
	wantEntry(t, s, "a", "two", revision)
}

func testBadTTL(t *testing.T, s kvstore.Store) {
	for _, ttl := range []time.Duration{
		time.Nanosecond, 999 * time.Millisecond, 1500 * time.Millisecond, -time.Second, time.Minute + 1,
	} {
		if _, err := s.Create(t.Context(), "a", nil, ttl); err == nil {
			t.Errorf("Create with ttl %v: got no error", ttl)
		}
	}
	_, err := s.Get(t.Context(), "a")
	wantErr(t, "Get", err, kvstore.ErrNotFound)
}

func testEndedContext(t *testing.T, s kvstore.Store) {
	revision := mustCreate(t, s, "a", "one")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	calls := map[string]func() error{
		"Get":    func() error { _, err := s.Get(ended, "a"); return err },
		"Create": func() error { _, err := s.Create(ended, "b", nil, 0); return err },
		"Update": func() error { _, err := s.Update(ended, "a", []byte("two"), revision); return err },
		"Delete": func() error { return s.Delete(ended, "a", revision) },
		"Watch":  func() error { _, err := s.Watch(ended, ">"); return err },
		"List": func() error {
			for _, err := range s.List(ended, ">") {
				return err
			}
			return nil
		},
	}
	for name, call := range calls {
		err := call()
		wantErr(t, name, err, kvstore.ErrUnavailable)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got error %v, want it to be context.Canceled too", name, err)
		}
	}
}

func testErrorText(t *testing.T, s kvstore.Store) {
	const canary = "canary-f3b1"
	revision := mustCreate(t, s, "tenant.a", canary)
	_, missing := s.Get(t.Context(), "tenant.b")
	_, exists := s.Create(t.Context(), "tenant.a", []byte(canary), 0)
	_, conflict := s.Update(t.Context(), "tenant.a", []byte(canary), revision+1)
	for _, err := range []error{missing, exists, conflict, s.Delete(t.Context(), "tenant.a", revision+1)} {
		if text := err.Error(); !strings.Contains(text, "tenant.") || strings.Contains(text, canary) {
			t.Errorf("error %q: want it to name the key and not the value", text)
		}
	}
}

func sizeChecks(limit int) []check {
	return []check{
		{"a value of the largest size is stored and a larger one is too large", func(t *testing.T, s kvstore.Store) {
			largest := strings.Repeat("x", limit)
			revision := mustUpdate(t, s, "a", largest, mustCreate(t, s, "a", largest))
			wantEntry(t, s, "a", largest, revision)
			_, err := s.Create(t.Context(), "b", []byte(largest+"x"), 0)
			wantErr(t, "Create", err, kvstore.ErrTooLarge)
			_, err = s.Update(t.Context(), "a", []byte(largest+"x"), revision)
			wantErr(t, "Update", err, kvstore.ErrTooLarge)
			wantEntry(t, s, "a", largest, revision)
		}},
	}
}

func latestChecks() []check {
	return []check{
		{"get latest sees every acknowledged write at once", func(t *testing.T, s kvstore.Store) {
			latest := s.(kvstore.LatestGetter)
			_, err := latest.GetLatest(t.Context(), "a")
			wantErr(t, "GetLatest", err, kvstore.ErrNotFound)
			revision := mustCreate(t, s, "a", "0")
			for i := range 20 {
				value := strings.Repeat("x", i)
				revision = mustUpdate(t, s, "a", value, revision)
				e, err := latest.GetLatest(t.Context(), "a")
				if err != nil {
					t.Fatal(err)
				}
				if e.Key != "a" || string(e.Value) != value || e.Revision != revision || e.Created.IsZero() {
					t.Fatalf("got %+v, want value %q at revision %d", e, value, revision)
				}
			}
			mustDelete(t, s, "a", revision)
			_, err = latest.GetLatest(t.Context(), "a")
			wantErr(t, "GetLatest of a deleted key", err, kvstore.ErrNotFound)
			_, err = latest.GetLatest(t.Context(), "a b")
			wantErr(t, "GetLatest of a bad key", err, kvstore.ErrKey)
		}},
	}
}

func keyChecks() []check {
	odd := []string{
		"-", "_", "=", "/", "0", "a/b", "/a/", "a=b==", "A", "a.A", "a_-=/Z9", "-.-.-",
		strings.TrimSuffix(strings.Repeat("t.", 64), "."), strings.Repeat("k", kvstore.MaxKeyLength),
	}
	bad := []string{
		"", ".", "..", ".a", "a.", "a..b", "a b", "a\t", "a\n", "a\r\nPUB", "a*", "*a", "*", ">", "a.*", "a.>",
		"a:b", "a@b", "a+b", "a$b", "a%2eb", "a\\b", "é", "\x00", "\xff", strings.Repeat("k", kvstore.MaxKeyLength+1),
	}
	return []check{
		{"odd keys are keys of their own", func(t *testing.T, s kvstore.Store) {
			revisions := map[string]uint64{}
			for _, key := range odd {
				revisions[key] = mustCreate(t, s, key, "of "+key)
			}
			for _, key := range odd {
				wantEntry(t, s, key, "of "+key, revisions[key])
				if got := list(t, s, key); len(got) != 1 || got[key] != revisions[key] {
					t.Errorf("List(%q): got %v", key, got)
				}
			}
			mustDelete(t, s, "a.A", 0)
			wantEntry(t, s, "A", "of A", revisions["A"])
			if got := list(t, s, ">"); len(got) != len(odd)-1 {
				t.Errorf("List(>): got %d keys, want %d", len(got), len(odd)-1)
			}
		}},
		{"bad keys are refused by every call", func(t *testing.T, s kvstore.Store) {
			for _, key := range bad {
				_, err := s.Get(t.Context(), key)
				wantErr(t, "Get of "+key, err, kvstore.ErrKey)
				_, err = s.Create(t.Context(), key, nil, 0)
				wantErr(t, "Create of "+key, err, kvstore.ErrKey)
				_, err = s.Update(t.Context(), key, nil, 1)
				wantErr(t, "Update of "+key, err, kvstore.ErrKey)
				wantErr(t, "Delete of "+key, s.Delete(t.Context(), key, 0), kvstore.ErrKey)
			}
		}},
		{"bad filters are refused by every call", func(t *testing.T, s kvstore.Store) {
			filters := slices.DeleteFunc(slices.Clone(bad), func(f string) bool {
				return f == "*" || f == ">" || f == "a.*" || f == "a.>"
			})
			for _, filter := range append(filters, ">.a", "a.>.b", "a.b*", "a.**", "a.>>", "*.") {
				_, err := s.Watch(t.Context(), filter)
				wantErr(t, "Watch of "+filter, err, kvstore.ErrKey)
				calls := 0
				for _, err := range s.List(t.Context(), filter) {
					wantErr(t, "List of "+filter, err, kvstore.ErrKey)
					calls++
				}
				if calls != 1 {
					t.Errorf("List(%q) yielded %d times, want one error", filter, calls)
				}
			}
		}},
	}
}
