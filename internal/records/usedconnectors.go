package records

import (
	"context"
	"strings"
	"sync"

	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// UsedConnectors are the connectors that are known to have, or to have had, connections:
// a connector that nobody uses needs no consumers. Safe for concurrent use.
type UsedConnectors struct {
	connections *Connections
	mu          sync.Mutex
	known       map[string]bool // token of the connector
	changed     chan struct{}
}

func newUsedConnectors() *UsedConnectors {
	return &UsedConnectors{known: map[string]bool{}, changed: make(chan struct{}, 1)}
}

// add adds the connector with the token.
func (u *UsedConnectors) add(token string) {
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

func (u *UsedConnectors) has(token string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.known[token]
}

// seen adds the connector of a change of the bucket.
func (u *UsedConnectors) seen(e kvstore.Event) {
	if tokens := strings.Split(e.Key, "."); len(tokens) == 4 && e.Kind != kvstore.Deleted {
		u.add(tokens[2])
	}
}

// Has reports whether a connector has connections, or had some since [Connections.Run]
// began.
func (u *UsedConnectors) Has(ctx context.Context, connector string) (bool, error) {
	token := events.Token(connector)
	if u.has(token) {
		return true, nil
	}
	n, err := u.connections.Count(ctx, connector)
	if n > 0 {
		u.add(token)
	}
	return n > 0, err
}

// Changed receives, while [Connections.Run] runs, after a connector has got its first
// connection. It is one channel: one reader.
func (u *UsedConnectors) Changed() <-chan struct{} { return u.changed }
