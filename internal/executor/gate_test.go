package executor_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/roletest"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestAGateLeavesRoomForWhoComesNext(t *testing.T) {
	t.Parallel()
	g := executor.NewGate(64)
	var got []int
	for i := range 6 {
		tenant := roletest.Org(fmt.Sprint("t", i))
		for g.TryEnter(tenant, false) {
		}
		got = append(got, g.Running(tenant))
	}
	if want := []int{48, 12, 3, 1, 0, 0}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("six tenants who take all they can get have %v of 64 places, want %v", got, want)
	}
	// As places come back, those who have little get them first.
	for range 40 {
		g.Leave(roletest.Org("t0"), false)
		for i := range 6 {
			g.TryEnter(roletest.Org(fmt.Sprint("t", i)), false)
		}
	}
	for i := range 6 {
		if n := g.Running(roletest.Org(fmt.Sprint("t", i))); n < 5 {
			t.Errorf("tenant %d has %d places", i, n)
		}
	}
}

func TestAGateServesFloodsEquallyAndUrgentWorkFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const floods, each, places = 4, 200, 16
		g := executor.NewGate(places)
		served := map[string]int{}
		var mu sync.Mutex
		var order []string
		var all sync.WaitGroup
		ask := func(name string, urgent bool) {
			all.Go(func() {
				tenant := roletest.Org(name)
				if !g.Enter(t.Context(), tenant, urgent) {
					return
				}
				mu.Lock()
				served[name]++
				order = append(order, name)
				mu.Unlock()
				time.Sleep(time.Second)
				g.Leave(tenant, urgent)
			})
		}
		for i := range floods {
			for range each {
				ask(fmt.Sprint("flood", i), false)
			}
			synctest.Wait()
		}
		ask("flood0 in a hurry", true)
		time.Sleep(20 * time.Second)
		mu.Lock()
		for i := range floods {
			if n := served[fmt.Sprint("flood", i)]; n < 40 || n > 100 {
				t.Errorf("flood %d was served %d times of %d, want about a quarter of them", i, n, len(order))
			}
		}
		first := len(order)
		for at, name := range order {
			if name == "flood0 in a hurry" {
				first = at
			}
		}
		if first > 3*places {
			t.Errorf("urgent work came as number %d", first)
		}
		mu.Unlock()
		all.Wait()
		if g.Known() != 0 || g.Waiting() != 0 {
			t.Errorf("%d tenants are remembered and %d wait at the end", g.Known(), g.Waiting())
		}
	})
}

func TestAGateTellsTurnsThatComeOneAfterAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := executor.NewGate(4)
		ava := roletest.Org("ava")
		for g.TryEnter(ava, false) {
		}
		for range 10_000 {
			if wait := time.Until(g.Turn(ava)); wait < 250*time.Millisecond || wait > 30*time.Second {
				t.Fatalf("a turn in %v", wait)
			}
		}
		for i := range 11_000 { // tenants that only ever hear of turns do not pile up
			g.Turn(roletest.Org(fmt.Sprint(i)))
		}
		if g.Known() > 10_001 {
			t.Errorf("%d tenants are remembered", g.Known())
		}
	})
}

// Whatever happens in whatever order, no place is lost or given twice.
func TestAGateLosesNoPlace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		places := rapid.IntRange(1, 9).Draw(r, "places")
		g := executor.NewGate(places)
		type holder struct {
			tenant events.Tenant
			urgent bool
		}
		var inside []holder
		waiting := map[chan bool]context.CancelFunc{}
		who := map[chan bool]holder{}
		collect := func() {
			for ch := range waiting {
				select {
				case ok := <-ch:
					if ok {
						inside = append(inside, who[ch])
					}
					waiting[ch]()
					delete(waiting, ch)
				default:
				}
			}
		}
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			h := holder{roletest.Org(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "tenant")), rapid.Bool().Draw(r, "urgent")}
			switch rapid.IntRange(0, 3).Draw(r, "step") {
			case 0:
				if g.TryEnter(h.tenant, h.urgent) {
					inside = append(inside, h)
				}
			case 1:
				ctx, cancel := context.WithCancel(context.Background())
				ch := make(chan bool, 1)
				waiting[ch], who[ch] = cancel, h
				before := g.Waiting()
				go func() { ch <- g.Enter(ctx, h.tenant, h.urgent) }()
				for g.Waiting() == before && len(ch) == 0 {
					runtime.Gosched()
				}
			case 2:
				if len(inside) > 0 {
					g.Leave(inside[0].tenant, inside[0].urgent)
					inside = inside[1:]
				}
			case 3:
				for ch, cancel := range waiting {
					cancel()
					if <-ch {
						inside = append(inside, who[ch])
					}
					delete(waiting, ch)
					break
				}
			}
			collect()
			if len(inside) > places {
				r.Fatalf("%d are inside of %d places", len(inside), places)
			}
		}
		for len(inside) > 0 || len(waiting) > 0 {
			if len(inside) > 0 {
				g.Leave(inside[0].tenant, inside[0].urgent)
				inside = inside[1:]
			}
			runtime.Gosched()
			collect()
			if len(inside) == 0 && len(waiting) > 0 && g.Waiting() == len(waiting) {
				r.Fatalf("%d wait at an empty gate", len(waiting))
			}
		}
		if g.Known() != 0 {
			r.Fatalf("%d tenants are remembered", g.Known())
		}
	})
}
