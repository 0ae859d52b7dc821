package records

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// Connections reads and writes connection records and their indexes: webhook URLs and provider
// accounts. While Run runs, reads for use come from a bounded cache. Safe for concurrent use.
type Connections struct {
	bucket kvstore.Store
	status kvstore.Store
	sealer *Sealer
	now    func() time.Time
	cache  *cache[*Connection]
	urls   *urlIndex
	routes *routeIndex
	signer urlSigner
	// Used are the connectors that have connections.
	Used *UsedConnectors
}

// NewConnections returns the connections of buckets.
func NewConnections(buckets Buckets, sealer *Sealer) *Connections {
	used := newUsedConnectors()
	s := &Connections{
		Used: used, bucket: buckets.Connections, status: buckets.Status, sealer: sealer, now: time.Now,
		cache: newCache(buckets.Connections, func(e kvstore.Entry) (*Connection, error) {
			c, err := parseConnection(e)
			if err != nil {
				return nil, errUnreadable(err)
			}
			return c, nil
		}).notifying(used.seen),
		urls:   newURLIndex(buckets.Webhooks),
		routes: newRouteIndex(buckets.Routes),
	}
	used.connections = s
	return s
}

// Sealer returns what seals the connections.
func (s *Connections) Sealer() *Sealer { return s.sealer }

// Run keeps the caches current until ctx ends.
func (s *Connections) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.cache.run(ctx) })
	g.Go(func() error { return s.urls.cache.run(ctx) })
	g.Go(func() error { return s.routes.cache.run(ctx) })
	return g.Wait()
}

// Get returns a record, which may come from the cache; the caller must not change it.
// CONNECTOR_NOT_CONNECTED if there is none.
func (s *Connections) Get(ctx context.Context, r Ref) (*Connection, error) {
	c, err := s.cache.get(ctx, r.Key())
	return c, notConnected(err, r)
}

// Latest returns a record from the stream's leader, so that it can be changed.
// CONNECTOR_NOT_CONNECTED if there is none, CONNECTOR_DECRYPT_FAILED if it cannot be read.
func (s *Connections) Latest(ctx context.Context, r Ref) (*Connection, error) {
	c, err := s.LatestOrUnreadable(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := c.Unreadable(); err != nil {
		return nil, err
	}
	return c, nil
}

// LatestByKey is [Connections.Latest] by the record's key.
func (s *Connections) LatestByKey(ctx context.Context, key string) (*Connection, error) {
	r, err := ParseKey(key)
	if err != nil {
		return nil, DatabaseError("read the connection", err)
	}
	return s.Latest(ctx, r)
}

// LatestOrUnreadable is [Connections.Latest] for callers that replace or delete the record: one that
// cannot be read is returned with what its key says; see [Connection.Unreadable].
func (s *Connections) LatestOrUnreadable(ctx context.Context, r Ref) (*Connection, error) {
	e, err := latest(ctx, s.bucket, r.Key())
	if err != nil {
		return nil, notConnected(err, r)
	}
	c, err := parseConnection(e)
	if err != nil {
		return unreadableConnection(r, e.Revision, errUnreadable(err)), nil
	}
	return c, nil
}

// List yields a tenant's connections in no order; one that changes meanwhile may come twice, the newer
// second. Unreadable ones are included, see [Connection.Unreadable]. An error ends the list unless it
// is [ErrForeignKey].
func (s *Connections) List(ctx context.Context, t events.Tenant) iter.Seq2[*Connection, error] {
	return listConnections(ctx, s.bucket, t.Tokens()+".>")
}

// OfConnector is List of all tenants' connections of a connector.
func (s *Connections) OfConnector(ctx context.Context, connector string) iter.Seq2[*Connection, error] {
	return listConnections(ctx, s.bucket, "*.*."+events.Token(connector)+".*")
}

func listConnections(ctx context.Context, bucket kvstore.Store, filter string) iter.Seq2[*Connection, error] {
	return func(yield func(*Connection, error) bool) {
		for e, err := range bucket.List(ctx, filter) {
			if err != nil {
				yield(nil, DatabaseError("list the connections", err))
				return
			}
			if !yield(parseListed(e)) {
				return
			}
		}
	}
}

// ErrForeignKey is the error of a key in the bucket that is not one of a connection.
var ErrForeignKey = errors.New("connection records: unknown key")

func parseListed(e kvstore.Entry) (*Connection, error) {
	c, err := parseConnection(e)
	if err == nil {
		return c, nil
	}
	r, malformed := ParseKey(e.Key)
	if malformed != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeignKey, malformed)
	}
	return unreadableConnection(r, e.Revision, errUnreadable(err)), nil
}

// countTimeout bounds a count, which reads the headers of every connection of the connector.
const countTimeout = 15 * time.Second

// Count returns how many connections of all tenants a connector has, without reading them where the
// store can count.
func (s *Connections) Count(ctx context.Context, connector string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	n, err := kvstore.Count(ctx, s.bucket, "*.*."+events.Token(connector)+".*")
	if err != nil {
		return 0, DatabaseError("count the connections", err)
	}
	return n, nil
}

// Write stores a sealed record: it creates one that was not read from the bucket, and updates another
// over the revision that it was read at. [ErrExists] or [ErrConflict] if another write was faster.
//
// Index entries are written before the record and removed after it. So a crash in between leaves an
// entry too many, which matches no record, and never one too few.
func (s *Connections) Write(ctx context.Context, sealed *Sealed) error {
	c, key := sealed.record, sealed.record.Ref().Key()
	if c.ProviderAccount != "" {
		if err := s.routes.add(ctx, c, c.ProviderAccount); err != nil {
			return err
		}
	}
	if sealed.newURL {
		if err := s.urls.add(ctx, c.Webhook.Hash, key); err != nil {
			return err
		}
	}
	before, hashes := c.indexed, c.Webhook.hashes()
	revision, err := s.put(ctx, key, sealed)
	if err != nil {
		// If the outcome is unknown the record may be stored: then its URL has to stay in the index.
		if !errors.Is(err, ErrUnavailable) {
			s.urls.remove(ctx, without(hashes, before.urls))
		}
		if errors.Is(err, ErrExists) || errors.Is(err, ErrConflict) {
			return err
		}
		return DatabaseError("store the connection", err)
	}
	s.urls.remove(ctx, without(before.urls, hashes))
	if before.account != c.ProviderAccount {
		s.routes.remove(ctx, c, before.account)
	}
	if c.revision == 0 {
		removeStatus(ctx, s.status, key) // of an earlier connection under the same key
	}
	c.revision, c.indexed = revision, c.indexEntries()
	return nil
}

func (s *Connections) put(ctx context.Context, key string, sealed *Sealed) (uint64, error) {
	if sealed.record.revision == 0 {
		return s.bucket.Create(ctx, key, sealed.Text, 0)
	}
	return s.bucket.Update(ctx, key, sealed.Text, sealed.record.revision)
}

// Delete removes a record if it was not changed since it was read, and then its index entries and its
// status. [ErrConflict] if it was changed; CONNECTOR_NOT_CONNECTED if it is gone.
func (s *Connections) Delete(ctx context.Context, c *Connection) error {
	r := c.Ref()
	err := s.bucket.Delete(ctx, r.Key(), c.revision)
	if errors.Is(err, ErrConflict) {
		return err
	}
	if err != nil {
		return notConnected(err, r)
	}
	s.urls.remove(ctx, c.indexed.urls)
	s.routes.remove(ctx, c, c.indexed.account)
	removeStatus(ctx, s.status, r.Key())
	return nil
}

// cleanupTimeout bounds the removal of entries that are harmless if they remain.
const cleanupTimeout = 2 * time.Second

// cleanup returns a context for such a removal. It goes on when the caller has gone.
func cleanup(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
}

func removeStatus(ctx context.Context, status kvstore.Store, key string) {
	ctx, cancel := cleanup(ctx)
	defer cancel()
	_ = status.Delete(ctx, key, 0) // a status without a connection is never read
}
