package connection

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// Definitions is the catalogue: every connector that some program has published,
// data only, kept current by a watch. Safe for concurrent use.
type Definitions struct {
	bucket kvstore.Store

	mu    sync.RWMutex
	byKey map[string]*connectors.Connector // connector → its definition
}

// NewDefinitions returns the catalogue kept in bucket. It is empty until
// [Definitions.Load] or [Definitions.Run].
func NewDefinitions(buckets Buckets) *Definitions {
	return &Definitions{bucket: buckets.Connectors, byKey: map[string]*connectors.Connector{}}
}

// Get returns a definition, or CONNECTOR_NOT_FOUND.
func (d *Definitions) Get(key string) (*connectors.Connector, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if c, ok := d.byKey[key]; ok {
		return c, nil
	}
	return nil, connectors.Errorf(connectors.CodeConnectorNotFound, "no connector %.64q is registered", key)
}

// All returns the definitions in the order of their keys.
func (d *Definitions) All() []*connectors.Connector {
	d.mu.RLock()
	defer d.mu.RUnlock()
	all := make([]*connectors.Connector, 0, len(d.byKey))
	for _, c := range d.byKey {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *connectors.Connector) int { return strings.Compare(a.Key, b.Key) })
	return all
}

// Publish makes connectors known to every role. What is stored already is not
// written again; where versions differ, the last to start wins, so that a
// rollback is a rollback.
func (d *Definitions) Publish(ctx context.Context, all []*connectors.Connector) error {
	for _, c := range all {
		definition, err := c.Definition()
		if err != nil {
			return err
		}
		_, err = kvstore.Modify(ctx, d.bucket, events.Token(c.Key), func(old []byte) ([]byte, error) {
			if bytes.Equal(old, definition) {
				return nil, kvstore.ErrKeep
			}
			return definition, nil
		})
		if err != nil {
			return databaseError("publish connector "+c.Key, err)
		}
		d.put(c)
	}
	return nil
}

func (d *Definitions) put(c *connectors.Connector) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byKey[c.Key] = c
}

// Load reads every definition that is stored.
func (d *Definitions) Load(ctx context.Context) error {
	all := map[string]*connectors.Connector{}
	for entry, err := range d.bucket.List(ctx, ">") {
		if err != nil {
			return databaseError("read the connectors", err)
		}
		c, err := connectors.ParseDefinition(entry.Value)
		if err != nil {
			return fmt.Errorf("definition %s: %w", entry.Key, err)
		}
		all[c.Key] = c
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byKey = all
	return nil
}

// Run keeps the catalogue current until ctx ends. onError is told of definitions
// that cannot be read; the last good one stays.
func (d *Definitions) Run(ctx context.Context, onError func(error)) error {
	for ctx.Err() == nil {
		watcher, err := d.bucket.Watch(ctx, ">")
		if err == nil {
			if err = d.Load(ctx); err != nil {
				watcher.Stop()
			}
		}
		if err != nil {
			if ctx.Err() == nil {
				onError(err)
			}
			pause(ctx, time.Second)
			continue
		}
		follow(ctx, watcher, func(event kvstore.Event) {
			if err := d.apply(ctx, event); err != nil {
				onError(err)
			}
		})
	}
	return nil
}

func (d *Definitions) apply(ctx context.Context, event kvstore.Event) error {
	switch event.Kind {
	case kvstore.Reset:
		return d.Load(ctx)
	case kvstore.Deleted:
		key, err := events.ParseToken(event.Key)
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.byKey, key)
		return err
	}
	entry, err := latest(ctx, d.bucket, event.Key)
	if errors.Is(err, kvstore.ErrNotFound) {
		return nil // deleted since; the watch will say so
	}
	if err != nil {
		return databaseError("read connector "+event.Key, err)
	}
	c, err := connectors.ParseDefinition(entry.Value)
	if err != nil {
		return fmt.Errorf("definition %s: %w", event.Key, err)
	}
	d.put(c)
	return nil
}
