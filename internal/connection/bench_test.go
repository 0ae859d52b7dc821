package connection_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// crowd is a world on JetStream with many connections of one connector.
type crowd struct {
	*world
	refs []connection.Ref
	urls []secret.Text
}

func crowdRef(i int) connection.Ref {
	return shopOf(events.Tenant{Scope: "organization", Identity: fmt.Sprintf("tenant-%d@example.com", i)})
}

func newCrowd(b *testing.B, n int) *crowd {
	b.Helper()
	c := &crowd{newWorld(b, setup{nats: true, markers: time.Second}), make([]connection.Ref, n), make([]secret.Text, n)}
	def, err := c.definitions.Get("shop")
	must(b, err)
	var g errgroup.Group
	var next atomic.Int64
	for range min(n, 64) {
		g.Go(func() error {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return nil
				}
				var err error
				c.refs[i] = crowdRef(i)
				if c.urls[i], err = c.store.Put(b.Context(), c.refs[i], def, `{"apiKey":"key-123456789","hook":{"secret":"whsec-123456"},"channel":"general"}`); err != nil {
					return err
				}
			}
		})
	}
	must(b, g.Wait())
	return c
}

// BenchmarkLookup is what every webhook (by URL) and every action (by key) begins
// with. Uncached is the first use of a connection in a process, or after a change.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1, 100_000} {
		b.Run(fmt.Sprintf("connections=%d", n), func(b *testing.B) {
			c := newCrowd(b, n)
			byURL := func(i int) error { return ignored(c.store.ByWebhookURL(b.Context(), "shop", c.urls[i])) }
			byKey := func(i int) error { return ignored(c.store.Get(b.Context(), c.refs[i])) }
			loop := func(look func(int) error, among int) func(*testing.B) {
				return func(b *testing.B) {
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						must(b, look(i%among))
					}
				}
			}
			b.Run("uncached/by=url", loop(byURL, n))
			b.Run("uncached/by=key", loop(byKey, n))
			run(b, c.store.Run)
			few := min(n, connection.CacheSize/2)
			eventually(b, func() bool {
				must(b, byURL(0))
				held, _ := c.store.CacheSize()
				return held == 1
			})
			for i := range few {
				must(b, byURL(i))
			}
			// The same connection among one and among all: whether their number matters.
			b.Run("cached/by=url", loop(byURL, 1))
			b.Run("cached/by=key", loop(byKey, 1))
			// Thousands in turn are slower by what the processor's own caches do not hold.
			b.Run("cached, in turn/by=url", loop(byURL, few))
			b.Run("cached, in turn/by=key", loop(byKey, few))
			b.Run("many in turn", func(b *testing.B) { c.lookAtMany(b, byURL, min(n, 3*connection.CacheSize)) })
		})
	}
}

// lookAtMany looks up more connections than a cache holds, and reports what the
// process has grown by.
func (c *crowd) lookAtMany(b *testing.B, look func(int) error, many int) {
	before := heap()
	for i := 0; b.Loop(); i++ {
		must(b, look(i%many))
	}
	for i := range many {
		must(b, look(i))
	}
	records, bytes := c.store.CacheSize()
	b.ReportMetric(float64(records), "records-held")
	b.ReportMetric(float64(bytes)/(1<<20), "MB-held")
	b.ReportMetric(float64(int64(heap())-int64(before))/(1<<20), "MB-heap-growth")
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkCountByConnector counts after a mass change, when every connection is so
// new that it could be a deletion, and at rest.
func BenchmarkCountByConnector(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("connections=%d", n), func(b *testing.B) {
			c := newCrowd(b, n)
			count := func(b *testing.B) {
				for b.Loop() {
					if got, err := c.service.CountByConnector(b.Context(), "shop"); err != nil || got != n {
						b.Fatalf("count = %d, %v, want %d", got, err, n)
					}
				}
			}
			b.Run("all new", count)
			time.Sleep(12 * time.Second) // the time of markers, and the driver's slack
			b.Run("at rest", count)
		})
	}
}

// BenchmarkOpen is what a lookup is followed by: a webhook's secret, an action's config.
func BenchmarkOpen(b *testing.B) {
	c := newCrowd(b, 1)
	record, err := c.store.Get(b.Context(), crowdRef(0))
	must(b, err)
	b.Run("field", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			must(b, ignored(c.store.OpenConfigField(record, "hook.secret")))
		}
	})
	b.Run("config", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			must(b, ignored(c.store.OpenConfig(record)))
		}
	})
}

func BenchmarkChange(b *testing.B) {
	w := newWorld(b, setup{nats: true, own: []connectors.Connector{shop("1.0.0", shopSchema)}})
	w.connect(shopOf(acme), `{"apiKey":"abc"}`)
	for b.Loop() {
		must(b, ignored(w.service.Toggle(b.Context(), shopOf(acme))))
	}
}
