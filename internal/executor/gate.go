package executor

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/hawser-io/hawser/pkg/events"
)

// gate bounds the handlers of one connector that run at once in this process,
// and divides the places between tenants: a tenant gets another place only while
// it has fewer than share times as many as are free. Alone it can have three
// quarters; the next tenant who comes always finds some, and with several who
// want more than there is, all have the same. Nobody's share has to be known
// beforehand, and nobody is thrown out.
//
// What is marked urgent (hawserpriority high) goes first, and may also take some
// of what is left free.
type gate struct {
	mu      sync.Mutex
	free    int                     // places
	tenants map[events.Tenant]usage // those that have a place, or were told a turn
	waiting []*waiter               // in order of arrival
	typical time.Duration           // how long a handler runs, a moving average
}

const (
	share = 3
	// A tenant that has its share is told a turn in these bounds. The scheduler
	// of the server ticks four times a second.
	soonestTurn, latestTurn = 250 * time.Millisecond, 30 * time.Second
)

type usage struct {
	running, urgent int
	turn            time.Time // the last that was told; zero if none
}

type waiter struct {
	tenant   events.Tenant
	urgent   bool
	admitted chan struct{}
}

func newGate(places int) *gate {
	return &gate{free: places, tenants: map[events.Tenant]usage{}}
}

// enter waits for a place until ctx or closing ends; it reports whether it has one.
func (g *gate) enter(ctx context.Context, closing <-chan struct{}, t events.Tenant, urgent bool) bool {
	g.mu.Lock()
	if g.takeLocked(t, urgent) {
		g.mu.Unlock()
		return true
	}
	w := &waiter{t, urgent, make(chan struct{})}
	g.waiting = append(g.waiting, w)
	g.mu.Unlock()
	select {
	case <-w.admitted:
		return true
	case <-ctx.Done():
	case <-closing:
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	before := len(g.waiting)
	g.waiting = slices.DeleteFunc(g.waiting, func(other *waiter) bool { return other == w })
	return len(g.waiting) == before // admitted meanwhile
}

// tryEnter takes a place if the tenant may have one now.
func (g *gate) tryEnter(t events.Tenant, urgent bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.takeLocked(t, urgent)
}

// leave gives a place back that was held for took, and hands places on.
func (g *gate) leave(t events.Tenant, urgent bool, took time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.typical += (took - g.typical) / 8
	u := g.tenants[t]
	u.running--
	if urgent {
		u.urgent--
	}
	g.free++
	if u.turn.Before(time.Now()) {
		u.turn = time.Time{}
	}
	g.keepLocked(t, u)
	for g.admitOneLocked() {
	}
}

// turn tells a tenant that may not have a place now when to ask again: so that
// its requests come back about as fast as they can be served, one after another.
func (g *gate) turn(t events.Tenant) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	u := g.tenants[t]
	next := u.turn
	if soonest := now.Add(soonestTurn); next.Before(soonest) {
		next = soonest
	}
	next = next.Add(g.typical / time.Duration(max(u.running, 1)))
	if next.Sub(now) > latestTurn {
		next = now.Add(latestTurn - rand.N(latestTurn/2))
	}
	u.turn = next
	g.keepLocked(t, u)
	return next
}

// room is how many more places a tenant could have now.
func (g *gate) room(t events.Tenant) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(share*g.free-g.tenants[t].running, 0)
}

// idle reports that a tenant has nothing at work and nothing waiting: what it has
// to do would be next.
func (g *gate) idle(t events.Tenant) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tenants[t].running == 0 && !slices.ContainsFunc(g.waiting, func(w *waiter) bool { return w.tenant == t })
}

// running is how many places a tenant has.
func (g *gate) running(t events.Tenant) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tenants[t].running
}

// queue is how many wait for a place.
func (g *gate) queue() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

func (g *gate) takeLocked(t events.Tenant, urgent bool) bool {
	u := g.tenants[t]
	if !g.mayLocked(u, urgent) {
		return false
	}
	g.free--
	u.running++
	if urgent {
		u.urgent++
	}
	g.tenants[t] = u
	return true
}

func (g *gate) mayLocked(u usage, urgent bool) bool {
	return g.free > 0 && (u.running < share*g.free || urgent && u.urgent < g.free)
}

// admitOneLocked gives a place to the waiter that deserves it most, if any may
// have one: urgent before normal, then who has the fewest, then who came first.
func (g *gate) admitOneLocked() bool {
	best, fewest := -1, 0
	for i, w := range g.waiting {
		u := g.tenants[w.tenant]
		if !g.mayLocked(u, w.urgent) {
			continue
		}
		if best < 0 || w.urgent && !g.waiting[best].urgent ||
			w.urgent == g.waiting[best].urgent && u.running < fewest {
			best, fewest = i, u.running
		}
	}
	if best < 0 {
		return false
	}
	w := g.waiting[best]
	g.waiting = slices.Delete(g.waiting, best, best+1)
	close(w.admitted)
	return g.takeLocked(w.tenant, w.urgent)
}

// mostTurns bounds how many tenants without a place are remembered.
const mostTurns = 10_000

// keepLocked remembers what is worth it.
func (g *gate) keepLocked(t events.Tenant, u usage) {
	if u == (usage{}) {
		delete(g.tenants, t)
		return
	}
	g.tenants[t] = u
	if len(g.tenants) <= mostTurns {
		return
	}
	for tenant, other := range g.tenants {
		if other.running == 0 {
			delete(g.tenants, tenant)
		}
	}
}
