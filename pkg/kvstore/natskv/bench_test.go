package natskv_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/natskv"
)

// benchKeys is the size of the bucket; one key in a hundred belongs to the
// connector "rare", and every tenant has ten.
const benchKeys = 100_000

func benchKey(i int) string {
	connector := "common"
	if i%100 == 0 {
		connector = "rare"
	}
	return fmt.Sprintf("tenant%d.user.%s.account%d", i/10, connector, i)
}

func benchStore(b *testing.B) (*natskv.Store, []uint64) {
	b.Helper()
	js := startNode(b).connect()
	s := mustOpen(b, js, natskv.Bucket{Name: "bench", MarkerTTL: time.Second}, nil)
	return s, load(b, js, "bench", benchKeys, benchKey)
}

func BenchmarkStore(b *testing.B) {
	s, revisions := benchStore(b)
	value := make([]byte, 600)
	check := func(b *testing.B, err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Run("Get", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			_, err := s.Get(b.Context(), benchKey(i*7919%benchKeys))
			check(b, err)
		}
	})
	b.Run("GetLatest", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			_, err := s.GetLatest(b.Context(), benchKey(i*7919%benchKeys))
			check(b, err)
		}
	})
	b.Run("Update", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			at := i * 7919 % benchKeys
			revision, err := s.Update(b.Context(), benchKey(at), value, revisions[at])
			check(b, err)
			revisions[at] = revision
		}
	})
	b.Run("CreateAndDelete", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			key := fmt.Sprintf("other.%d", i)
			revision, err := s.Create(b.Context(), key, value, 0)
			check(b, err)
			check(b, s.Delete(b.Context(), key, revision))
		}
	})
	for _, filter := range []string{"tenant77.>", "*.*.rare.*", ">"} {
		b.Run("List/"+filter, func(b *testing.B) {
			for b.Loop() {
				for _, err := range s.List(b.Context(), filter) {
					check(b, err)
				}
			}
		})
	}
	b.Run("WatchSeesAnUpdate", func(b *testing.B) {
		w, err := s.Watch(b.Context(), "watched")
		check(b, err)
		defer w.Stop()
		revision, err := s.Create(b.Context(), "watched", nil, 0)
		check(b, err)
		<-w.Events()
		for b.Loop() {
			revision, err = s.Update(b.Context(), "watched", nil, revision)
			check(b, err)
			for e := range w.Events() {
				if e.Kind == kvstore.Put && e.Revision == revision {
					break
				}
			}
		}
	})
}

func BenchmarkCount(b *testing.B) {
	s, _ := benchStore(b)
	for _, filter := range []string{"tenant77.>", "*.*.rare.*", "*.*.common.*", ">"} {
		b.Run(filter, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Count(b.Context(), filter); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
