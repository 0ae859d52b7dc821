package records

import (
	"context"
	"time"
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

// Flush writes what was noted.
func (w *StatusWriter) Flush(ctx context.Context, onError func(error)) { w.flush(ctx, onError) }
