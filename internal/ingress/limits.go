package ingress

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

const (
	// Addresses that are nobody's cost a read of the store each. Beyond so many,
	// only those that were used lately are looked at: whoever guesses slows down
	// nobody who is called regularly.
	guessesPerSecond = 50
	guessesAtOnce    = 500

	handshakesPerSecond = 10
	handshakesAtOnce    = 50
	// shakers bounds whose handshakes are counted. Who is forgotten begins anew.
	shakers = 10_000
)

// limits is a rate for each of many. Safe for concurrent use.
type limits struct {
	mu  sync.Mutex
	ofs *simplelru.LRU[string, *rate.Limiter]
}

func newLimits() *limits {
	ofs, err := simplelru.NewLRU[string, *rate.Limiter](shakers, nil)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return &limits{ofs: ofs}
}

func (l *limits) allow(whose string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter, ok := l.ofs.Get(whose)
	if !ok {
		limiter = rate.NewLimiter(handshakesPerSecond, handshakesAtOnce)
		l.ofs.Add(whose, limiter)
	}
	return limiter.Allow()
}
