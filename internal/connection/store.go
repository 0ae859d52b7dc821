package connection

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// What stores answer, for those who keep records through this package.
var (
	ErrNotFound = kvstore.ErrNotFound
	ErrExists   = kvstore.ErrExists
	ErrConflict = kvstore.ErrConflict
	// ErrUnavailable: what was to be written may be stored, or be stored yet.
	ErrUnavailable = kvstore.ErrUnavailable
)

// Buckets are the stores that this package keeps its records in.
type Buckets struct {
	Connections kvstore.Store // <scope>.<identity>.<connector>.<account> → record
	Webhooks    kvstore.Store // SHA-256 of a URL's secret → key of the record
	Status      kvstore.Store // key of the record → health
	Connectors  kvstore.Store // connector → definition
	Claims      kvstore.Store // request → who calls the provider for it
	Keys        kvstore.Store // the check value of the keyset
	Tokens      kvstore.Store // SHA-256 of an API token → whose it is
	Routes      kvstore.Store // provider's account → keys of the records
	Grants      kvstore.Store // see GrantKey → tokens and what is known of them
	Flows       kvstore.Store // hash of a state → an authorisation under way
	Leases      kvstore.Store // what is done by one process at a time → by whom
	Apps        kvstore.Store // connector or family → the operator's OAuth client
	Sessions    kvstore.Store // hash of a link → connect session
}

// BucketNames lists the buckets without the installation's prefix.
func BucketNames() []string {
	return []string{bucketConnections, bucketWebhooks, bucketStatus, bucketConnectors, bucketClaims, bucketKeys, bucketTokens,
		bucketGrants, bucketFlows, bucketLeases, bucketApps, bucketSessions, bucketRoutes}
}

// BucketTTL is how long what is not written lies in a bucket; 0 is for ever.
func BucketTTL(name string) time.Duration {
	switch name {
	case bucketFlows:
		return flowMemory
	case bucketSessions:
		return sessionMemory
	}
	return 0
}

// BucketsFrom opens every bucket by name. Without an open, or where it gives
// none, it is CONNECTOR_DATABASE_REQUIRED.
func BucketsFrom(open func(name string) (kvstore.Store, error)) (Buckets, error) {
	var b Buckets
	if open == nil {
		return b, connectors.Errorf(connectors.CodeConnectorDatabaseRequired, "no store is configured")
	}
	for name, at := range map[string]*kvstore.Store{
		bucketConnections: &b.Connections, bucketWebhooks: &b.Webhooks, bucketStatus: &b.Status,
		bucketConnectors: &b.Connectors, bucketClaims: &b.Claims, bucketKeys: &b.Keys,
		bucketTokens: &b.Tokens, bucketGrants: &b.Grants, bucketFlows: &b.Flows,
		bucketLeases: &b.Leases, bucketApps: &b.Apps, bucketSessions: &b.Sessions,
		bucketRoutes: &b.Routes,
	} {
		store, err := open(name)
		if err != nil {
			return b, fmt.Errorf("bucket %s: %w", name, err)
		}
		if store == nil {
			return b, connectors.Errorf(connectors.CodeConnectorDatabaseRequired, "no store is configured for bucket %s", name)
		}
		*at = store
	}
	return b, nil
}

// Connections reads and writes connection records. Safe for concurrent use. Its reads
// come from a bounded cache once Run runs; without it they go to the bucket.
type Connections struct {
	buckets Buckets
	keys    *crypto.Keyring
	prefix  string // of the installation, part of what a sealed field is bound to
	now     func() time.Time
	records *cache[*Connection]
	urls    *cache[string]
	routes  *cache[[]string]
}

// NewConnections returns a store over buckets that seals with keys.
func NewConnections(buckets Buckets, keys *crypto.Keyring, prefix string) *Connections {
	s := &Connections{buckets: buckets, keys: keys, prefix: prefix, now: time.Now}
	s.records = newCache(buckets.Connections, func(e kvstore.Entry) (*Connection, error) {
		c, err := parseRecord(e.Value, e.Revision, e.Key)
		if err != nil {
			return nil, unreadable(err)
		}
		return c, nil
	})
	s.urls = newCache(buckets.Webhooks, func(e kvstore.Entry) (string, error) { return string(e.Value), nil })
	s.routes = newCache(buckets.Routes, parseRoutes)
	return s
}

// Run keeps the caches fresh until ctx ends.
func (s *Connections) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.records.run(ctx) })
	g.Go(func() error { return s.urls.run(ctx) })
	g.Go(func() error { return s.routes.run(ctx) })
	return g.Wait()
}

// Get returns a record for use. It may come from the cache; the caller must not
// change it. CONNECTOR_NOT_CONNECTED if there is none.
func (s *Connections) Get(ctx context.Context, r Ref) (*Connection, error) {
	c, err := s.records.get(ctx, r.Key())
	return c, s.readError(err, r)
}

// latest reads a record from the leader, for changing it. Of one that cannot be
// read it returns, beside the error, what its key tells and its revision: enough
// to replace or to remove it.
func (s *Connections) latest(ctx context.Context, r Ref) (*Connection, error) {
	e, err := latest(ctx, s.buckets.Connections, r.Key())
	if err != nil {
		return nil, s.readError(err, r)
	}
	c, err := parseRecord(e.Value, e.Revision, e.Key)
	if err != nil {
		err = unreadable(err)
		return faulty(r, e.Revision, err), err
	}
	return c, nil
}

// write creates or updates a sealed record: created if it has no revision, else
// over that revision. Its route comes first: one too many leads nowhere.
func (s *Connections) write(ctx context.Context, c *Connection, sealed []byte) (err error) {
	if err := s.addRoute(ctx, c); err != nil {
		return err
	}
	if c.revision == 0 {
		c.revision, err = s.buckets.Connections.Create(ctx, c.Ref().Key(), sealed, 0)
		return err
	}
	c.revision, err = s.buckets.Connections.Update(ctx, c.Ref().Key(), sealed, c.revision)
	return err
}

func (s *Connections) readError(err error, r Ref) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kvstore.ErrNotFound):
		account := ""
		if r.Account != DefaultAccount {
			account = fmt.Sprintf(" account %.64q", r.Account)
		}
		return connectors.Errorf(connectors.CodeConnectorNotConnected, "%s is not connected to %.64q%s", tenantText(r), r.Connector, account)
	}
	return databaseError("read the connection", err)
}

func tenantText(r Ref) string { return fmt.Sprintf("%s %.64q", r.Scope, r.Identity) }

// databaseError gives failures of the store their code. The driver's own text
// may name hosts, so it is the cause only.
func databaseError(operation string, err error) error {
	if e, ok := errors.AsType[*connectors.Error](err); ok {
		return e
	}
	if errors.Is(err, kvstore.ErrTooLarge) {
		e := recordTooLarge()
		e.Cause = err
		return e
	}
	e := connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "could not %s: the store did not answer; try again", operation)
	e.Cause = err
	return e
}

// unreadable is the error of a record that is not as we write them.
func unreadable(err error) error {
	e := connectors.Errorf(connectors.CodeConnectorDecryptFailed,
		"the record of the connection cannot be read: it was altered, or a newer version wrote it; disconnect it, or replace it")
	e.Cause = err
	return e
}

// maxRecord bounds a sealed record, so that it fits into a message with room to
// spare, and what the caches can hold is bounded too.
const maxRecord = 512 << 10

func recordTooLarge() *connectors.Error {
	return connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the config is too large: a sealed record has at most %d bytes", maxRecord)
}
