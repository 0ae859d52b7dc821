package connection_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// crowd is a world on JetStream with many connections of one connector.
type crowd struct {
	*world
	refs []records.Ref
	urls []secret.Text
}

func crowdRef(i int) records.Ref {
	return shopOf(events.Tenant{Scope: "organization", Identity: fmt.Sprintf("tenant-%d@example.com", i)})
}

func newCrowd(b *testing.B, n int) *crowd {
	b.Helper()
	c := &crowd{newWorld(b, setup{nats: true, markers: time.Second}), make([]records.Ref, n), make([]secret.Text, n)}
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

func (c *crowd) byURL(b *testing.B) func(int) error {
	return func(i int) error {
		return ignored(c.store.ByWebhookURL(b.Context(), "shop", c.urls[i%len(c.urls)]))
	}
}

func (c *crowd) byKey(b *testing.B) func(int) error {
	return func(i int) error { return ignored(c.store.Get(b.Context(), c.refs[i%len(c.refs)])) }
}

// BenchmarkLookup is what every webhook (by URL) and every action (by key) begins
// with, among one connection and among a hundred thousand. Uncached is the first use
// of a connection in a process, or after a change.
func BenchmarkLookup(b *testing.B) {
	one, many := newCrowd(b, 1), newCrowd(b, 100_000)
	b.Run("uncached/by=url", func(b *testing.B) { compare(b, one.byURL(b), many.byURL(b)) })
	b.Run("uncached/by=key", func(b *testing.B) { compare(b, one.byKey(b), many.byKey(b)) })
	few := records.CacheSize / 2
	for _, c := range []*crowd{one, many} {
		run(b, c.store.Run)
		testenv.Eventually(b, "the cache to have it", func() bool {
			must(b, c.byURL(b)(0))
			held, _ := c.store.CacheUse()
			return held == 1
		})
		for i := range min(few, len(c.refs)) {
			must(b, c.byURL(b)(i))
		}
	}
	// The same connection among one and among all: whether their number matters.
	same := func(look func(int) error) func(int) error { return func(int) error { return look(0) } }
	b.Run("cached/by=url", func(b *testing.B) { compare(b, same(one.byURL(b)), same(many.byURL(b))) })
	b.Run("cached/by=key", func(b *testing.B) { compare(b, same(one.byKey(b)), same(many.byKey(b))) })
	// Thousands in turn are slower by what the processor's own caches do not hold.
	inTurn := func(look func(int) error) func(*testing.B) {
		return func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				must(b, look(i%few))
			}
		}
	}
	b.Run("cached, in turn/by=url", inTurn(many.byURL(b)))
	b.Run("cached, in turn/by=key", inTurn(many.byKey(b)))
	b.Run("many in turn", func(b *testing.B) { many.lookAtMany(b, many.byURL(b), 3*records.CacheSize) })
}

// compare looks up here and there in short turns, so that the ratio does not follow
// what else the machine does, and reports the medians of both and of the ratios.
func compare(b *testing.B, one, many func(int) error) {
	i := 0
	nanoseconds := func(look func(int) error) float64 {
		began, n := time.Now(), 0
		for ; time.Since(began) < 20*time.Millisecond; n += 20 {
			for range 20 {
				i++
				must(b, look(i))
			}
		}
		return float64(time.Since(began).Nanoseconds()) / float64(n)
	}
	var ones, manys, ratios []float64
	for swapped := false; b.Loop(); swapped = !swapped {
		var x, y float64
		if swapped { // neither is always the one that comes after the other
			y, x = nanoseconds(many), nanoseconds(one)
		} else {
			x, y = nanoseconds(one), nanoseconds(many)
		}
		ones, manys, ratios = append(ones, x), append(manys, y), append(ratios, y/x)
	}
	median := func(v []float64) float64 { slices.Sort(v); return v[len(v)/2] }
	b.ReportMetric(0, "ns/op") // of a turn: says nothing
	b.ReportMetric(median(ones), "ns-of-1")
	b.ReportMetric(median(manys), "ns-of-100000")
	b.ReportMetric(median(ratios), "ratio")
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
	records, bytes := c.store.CacheUse()
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

// BenchmarkCountByConnector counts the connections of a connector.
func BenchmarkCountByConnector(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("connections=%d", n), func(b *testing.B) {
			c := newCrowd(b, n)
			for b.Loop() {
				if got, err := c.store.Count(b.Context(), "shop"); err != nil || got != n {
					b.Fatalf("count = %d, %v, want %d", got, err, n)
				}
			}
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
