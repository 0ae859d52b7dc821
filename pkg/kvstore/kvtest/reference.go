package kvtest

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

func modelChecks() []check {
	return []check{
		{"any sequence of calls behaves like a map", func(t *testing.T, s kvstore.Store) {
			var run atomic.Int64
			rapid.Check(t, func(rt *rapid.T) {
				// A part of the store per sequence, since stores may be dear.
				m := &model{
					t: t, s: s, prefix: fmt.Sprintf("run%d.", run.Add(1)),
					entries: map[string]kvstore.Entry{},
				}
				rt.Repeat(map[string]func(*rapid.T){
					"create": m.create, "update": m.update, "delete": m.delete,
					"get": m.get, "list": m.list, "count": m.count,
				})
				m.list(rt)
				m.count(rt)
			})
		}},
	}
}

// model is what a store is: a map with a revision that only grows.
type model struct {
	t       *testing.T
	s       kvstore.Store
	prefix  string
	entries map[string]kvstore.Entry // by key, without the times
	last    uint64                   // highest revision seen
}

func (m *model) key(rt *rapid.T) string {
	return m.prefix + rapid.SampledFrom([]string{"a", "a.b", "a.bc", "a.b.c", "b", "ab"}).Draw(rt, "key")
}

func (m *model) value(rt *rapid.T) []byte {
	return rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(rt, "value")
}

// revision draws the key's own, an old, a future one, or 0.
func (m *model) revision(rt *rapid.T, key string) uint64 {
	own := m.entries[key].Revision
	return rapid.SampledFrom([]uint64{own, own, own, 0, 1, m.last, m.last + 50}).Draw(rt, "revision")
}

func (m *model) create(rt *rapid.T) {
	key, value := m.key(rt), m.value(rt)
	revision, err := m.s.Create(m.t.Context(), key, value, 0)
	if _, there := m.entries[key]; there {
		wantErr(rt, "Create("+key+")", err, kvstore.ErrExists)
		return
	}
	if err != nil {
		rt.Fatalf("Create(%s): %v", key, err)
	}
	m.stored(rt, kvstore.Entry{Key: key, Value: value, Revision: revision})
}

func (m *model) update(rt *rapid.T) {
	key, value := m.key(rt), m.value(rt)
	at := m.revision(rt, key)
	revision, err := m.s.Update(m.t.Context(), key, value, at)
	if e, there := m.entries[key]; !there || e.Revision != at {
		wantErr(rt, fmt.Sprintf("Update(%s, %d)", key, at), err, kvstore.ErrConflict)
		return
	}
	if err != nil {
		rt.Fatalf("Update(%s): %v", key, err)
	}
	m.stored(rt, kvstore.Entry{Key: key, Value: value, Revision: revision})
}

func (m *model) stored(rt *rapid.T, e kvstore.Entry) {
	if e.Revision <= m.last {
		rt.Fatalf("writing %s: got revision %d, want one above %d", e.Key, e.Revision, m.last)
	}
	m.last = e.Revision
	m.entries[e.Key] = e
}

func (m *model) delete(rt *rapid.T) {
	key := m.key(rt)
	at := m.revision(rt, key)
	err := m.s.Delete(m.t.Context(), key, at)
	call := fmt.Sprintf("Delete(%s, %d)", key, at)
	switch e, there := m.entries[key]; {
	case !there:
		wantErr(rt, call, err, kvstore.ErrNotFound)
	case at != 0 && at != e.Revision:
		wantErr(rt, call, err, kvstore.ErrConflict)
	case err != nil:
		rt.Fatalf("%s: %v", call, err)
	default:
		delete(m.entries, key)
	}
}

func (m *model) get(rt *rapid.T) {
	key := m.key(rt)
	got, err := m.s.Get(m.t.Context(), key)
	want, there := m.entries[key]
	if !there {
		wantErr(rt, "Get("+key+")", err, kvstore.ErrNotFound)
		return
	}
	if err != nil {
		rt.Fatalf("Get(%s): %v", key, err)
	}
	got.Created = want.Created
	if diff := cmp.Diff(want, got); diff != "" {
		rt.Fatalf("Get(%s) (-want +got):\n%s", key, diff)
	}
}

// matching draws a filter and returns what of the map it matches.
func (m *model) matching(rt *rapid.T) (filter string, want map[string]kvstore.Entry) {
	filter = m.prefix + rapid.SampledFrom([]string{">", "*", "a.*", "a.b", "a.>", "*.b.>"}).Draw(rt, "filter")
	want = map[string]kvstore.Entry{}
	for key, e := range m.entries {
		if kvstore.Match(filter, key) {
			want[key] = e
		}
	}
	return filter, want
}

func (m *model) list(rt *rapid.T) {
	filter, want := m.matching(rt)
	got := map[string]kvstore.Entry{}
	for e, err := range m.s.List(m.t.Context(), filter) {
		if err != nil {
			rt.Fatalf("List(%s): %v", filter, err)
		}
		e.Created = want[e.Key].Created
		got[e.Key] = e
	}
	if diff := cmp.Diff(want, got); diff != "" {
		rt.Fatalf("List(%s) (-want +got):\n%s", filter, diff)
	}
}

func (m *model) count(rt *rapid.T) {
	counter, ok := m.s.(kvstore.Counter)
	if !ok {
		return
	}
	filter, want := m.matching(rt)
	n, err := counter.Count(m.t.Context(), filter)
	if err != nil || n != len(want) {
		rt.Fatalf("Count(%s): got %d, %v, want %d", filter, n, err, len(want))
	}
}
