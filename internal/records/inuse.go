package records

import (
	"context"
	"strings"
	"sync"

	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// usedConnectors are the connectors that are known to have, or to have had, connections:
// a connector that nobody uses needs no consumers. Safe for concurrent use.
type usedConnectors struct {
	mu      sync.Mutex
	known   map[string]bool // token of the connector
	changed chan struct{}
}

func newUsedConnectors() *usedConnectors {
	return &usedConnectors{known: map[string]bool{}, changed: make(chan struct{}, 1)}
}

// add adds the connector with the token.
func (u *usedConnectors) add(token string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.known[token] {
		return
	}
	u.known[token] = true
	select {
	case u.changed <- struct{}{}:
	default:
	}
}

func (u *usedConnectors) has(token string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.known[token]
}

// seen adds the connector of a change of the bucket.
func (u *usedConnectors) seen(e kvstore.Event) {
	if tokens := strings.Split(e.Key, "."); len(tokens) == 4 && e.Kind != kvstore.Deleted {
		u.add(tokens[2])
	}
}

// Used reports whether a connector has connections, or had some since Run began.
func (s *Connections) Used(ctx context.Context, connector string) (bool, error) {
	token := events.Token(connector)
	if s.used.has(token) {
		return true, nil
	}
	n, err := s.Count(ctx, connector)
	if n > 0 {
		s.used.add(token)
	}
	return n > 0, err
}

// NewlyUsed receives, while Run runs, after a connector has got its first connection. It is
// one channel: one reader.
func (s *Connections) NewlyUsed() <-chan struct{} { return s.used.changed }
