package connection

import (
	"context"
	"encoding/json"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// SetClock sets the time by which old webhook URLs are honoured.
func (s *Connections) SetClock(now func() time.Time) { s.now = now }

// CacheSize is what the cache of records holds.
func (s *Connections) CacheSize() (records, bytes int) {
	s.records.mu.Lock()
	defer s.records.mu.Unlock()
	return s.records.items.Len(), s.records.bytes
}

// Read is Get past the cache.
func (s *Connections) Read(ctx context.Context, r Ref) (*Connection, error) { return s.latest(ctx, r) }

// SetState brings a connection into a state that only OAuth flows lead to.
func (s *Service) SetState(ctx context.Context, r Ref, state State) error {
	_, err := s.change(ctx, r, func(d *draft) ([]events.Kind, error) {
		d.State = state
		return []events.Kind{events.ConnectorUpdated}, nil
	})
	return err
}

// Put stores a connection as connect does, without the provider and without events.
func (s *Connections) Put(ctx context.Context, r Ref, def *connectors.Connector, config string) (secret.Text, error) {
	now, url := time.Now().UTC(), newWebhookSecret()
	c := &Connection{ID: events.NewID(), Scope: r.Scope, Identity: r.Identity, Connector: r.Connector, Account: r.Account,
		ConnectorVersion: def.Version, State: Active, CreatedAt: now, UpdatedAt: now, Webhook: (*WebhookURL)(nil).successor(url, now)}
	sealed, err := s.seal(draft{Connection: c, definition: def, config: json.RawMessage(config), url: url})
	if err == nil {
		err = s.addURL(ctx, r, c.Webhook.Hash)
	}
	if err == nil {
		err = s.write(ctx, c, sealed)
	}
	return url, err
}

// MergePatch gives tests the function.
func MergePatch(target, patch, shown json.RawMessage) (json.RawMessage, error) {
	return mergePatch(target, patch, shown)
}

// Limits and times that tests go up to.
const (
	CacheSize    = cacheSize
	CacheBytes   = cacheBytes
	CacheMaxAge  = cacheMaxAge
	MaxRecord    = maxRecord
	MostPrevious = mostPrevious
	MaxNoted     = maxNoted
	ReloadEvery  = reloadEvery
)

// States is every state, the one of no connection included.
func States() []State { return []State{"", Pending, Selecting, Active, Disabled, NeedsReauth} }

// Flush writes what was noted.
func (w *StatusWriter) Flush(ctx context.Context, onError func(error)) { w.flush(ctx, onError) }

// StatusOf reads the health of a connection.
func (s *Connections) StatusOf(ctx context.Context, r Ref) (*Status, error) { return s.status(ctx, r) }

// Sealed seals a record that is as it is given.
func (s *Connections) Sealed(c *Connection) ([]byte, error) { return s.seal(draft{Connection: c}) }
