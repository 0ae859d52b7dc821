package records

import (
	"context"
	"encoding/json"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// This file exists until the tests of this package are moved into it.

// SetClock sets the time by which old webhook URLs are honoured.
func (s *Connections) SetClock(now func() time.Time) { s.now = now }

// CacheUse is what the cache of records holds.
func (s *Connections) CacheUse() (records, bytes int) {
	s.cache.mu.Lock()
	defer s.cache.mu.Unlock()
	return s.cache.items.Len(), s.cache.bytes
}

// Put stores a connection as connect does, without the provider and without events.
func (s *Connections) Put(ctx context.Context, r Ref, def *connectors.Connector, config string) (secret.Text, error) {
	d := &Draft{Record: NewConnection(r, def.Version, time.Now()), Definition: def, Config: json.RawMessage(config)}
	url := s.EnsureWebhookURL(d)
	sealed, err := s.Seal(d)
	if err == nil {
		err = s.Write(ctx, sealed)
	}
	return url, err
}

// Limits and times that tests go up to.
const (
	CacheSize    = cacheSize
	CacheBytes   = cacheBytes
	CacheMaxAge  = cacheMaxAge
	MaxRecord    = maxRecord
	MostPrevious = maxPrevious
	MaxNoted     = maxNoted
	ReloadEvery  = reloadEvery
)

// States is every state, the one of no connection included.
func States() []State { return []State{"", Pending, Selecting, Active, Disabled, NeedsReauth} }

// Flush writes what was noted.
func (w *StatusWriter) Flush(ctx context.Context, onError func(error)) { w.flush(ctx, onError) }
