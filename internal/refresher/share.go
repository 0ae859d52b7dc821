package refresher

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// shares gives each provider its part of a refresher, so that a slow one holds up
// only its own grants:
//
//	due ─▶ enter ─▶ begin ─▶ lease, intent ─▶ call ─▶ store, timer ─▶ end ─▶ leave
//	      ≤ most   ≤ 2×calls                ≤ calls
//
// Twice as many are under way as may call, so that those that read and write do not
// keep the provider idle; and no more, so that nobody waits for his call until his
// lease ends.
type shares struct {
	most, calls int

	mu sync.Mutex
	of map[string]*share // connector → its share, while somebody has part in it; guarded by mu
}

// share is what one provider has.
type share struct {
	all       *shares
	connector string
	under     chan struct{} // as many as may be under way at once
	calling   chan struct{} // as many as may call at once
	users     int           // that wait or are under way; guarded by shares.mu
	took      time.Duration // by a renewal, lately; guarded by shares.mu
}

func newShares(concurrency, perProvider int) *shares {
	return &shares{most: max(concurrency/2, 1), calls: perProvider, of: map[string]*share{}}
}

const (
	// A renewal that nothing is known of yet is taken to last so long.
	assumedTook = 250 * time.Millisecond
	soonest     = 50 * time.Millisecond
	latest      = 30 * time.Second
)

// enter takes part in a connector's share. If as many as may be are in it, the
// share is nil, and later is about when half of them will be through.
func (s *shares) enter(connector string) (of *share, later time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	of = s.of[connector]
	if of == nil {
		of = &share{all: s, connector: connector, took: assumedTook, under: make(chan struct{}, 2*s.calls), calling: make(chan struct{}, s.calls)}
		s.of[connector] = of
	}
	if of.users >= s.most {
		through := of.took * time.Duration(of.users) / time.Duration(2*s.calls)
		through = min(max(through, soonest), latest)
		return nil, through/2 + rand.N(through)
	}
	of.users++
	return of, 0
}

func (s *shares) leave(of *share) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if of.users--; of.users == 0 {
		delete(s.of, of.connector)
	}
}

// begin waits for a place among those that are under way.
func (of *share) begin(ctx context.Context) error { return enter(ctx, of.under) }

// end gives the place back, and learns how long it was taken.
func (of *share) end(began time.Time) {
	<-of.under
	of.all.mu.Lock()
	defer of.all.mu.Unlock()
	of.took += (time.Since(began) - of.took) / 8
}

// call is an [token.AcquireSlot].
func (of *share) call(ctx context.Context) (done func(), err error) {
	if err := enter(ctx, of.calling); err != nil {
		return nil, err
	}
	return func() { <-of.calling }, nil
}

func enter(ctx context.Context, places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
