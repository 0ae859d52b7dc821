package connection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
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
	Dedup       kvstore.Store // delivery → it is stored; forgets by its TTL
}

// BucketNames lists the buckets without the installation's prefix.
func BucketNames() []string {
	return []string{bucketConnections, bucketWebhooks, bucketStatus, bucketConnectors, bucketClaims, bucketKeys, bucketTokens, bucketRoutes, BucketDedup}
}

// BucketsFrom opens every bucket by name.
func BucketsFrom(open func(name string) (kvstore.Store, error)) (Buckets, error) {
	var b Buckets
	for name, at := range map[string]*kvstore.Store{
		bucketConnections: &b.Connections, bucketWebhooks: &b.Webhooks, bucketStatus: &b.Status,
		bucketConnectors: &b.Connectors, bucketClaims: &b.Claims, bucketKeys: &b.Keys,
		bucketTokens: &b.Tokens, bucketRoutes: &b.Routes, BucketDedup: &b.Dedup,
	} {
		store, err := open(name)
		if err != nil {
			return b, fmt.Errorf("bucket %s: %w", name, err)
		}
		*at = store
	}
	return b, nil
}

// Store reads and writes connection records. Safe for concurrent use. Its reads
// come from a bounded cache once Run runs; without it they go to the bucket.
type Store struct {
	buckets Buckets
	keys    *crypto.Keyring
	prefix  string // of the installation, part of what a sealed field is bound to
	records *cache[*Connection]
	urls    *cache[string]
	routes  *cache[[]string]
}

// NewStore returns a store over buckets that seals with keys.
func NewStore(buckets Buckets, keys *crypto.Keyring, prefix string) *Store {
	s := &Store{buckets: buckets, keys: keys, prefix: prefix}
	s.records = newCache(buckets.Connections, func(e kvstore.Entry) (*Connection, error) {
		return parseRecord(e.Value, e.Revision, e.Key)
	})
	s.urls = newCache(buckets.Webhooks, func(e kvstore.Entry) (string, error) { return string(e.Value), nil })
	s.routes = newCache(buckets.Routes, parseRoutes)
	return s
}

// Run keeps the caches fresh until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.records.run(ctx) })
	g.Go(func() error { return s.urls.run(ctx) })
	g.Go(func() error { return s.routes.run(ctx) })
	return g.Wait()
}

// Get returns a record for use. It may come from the cache; the caller must not
// change it. CONNECTOR_NOT_CONNECTED if there is none.
func (s *Store) Get(ctx context.Context, r Ref) (*Connection, error) {
	c, err := s.records.get(ctx, r.Key())
	return c, s.readError(err, r)
}

// latest reads a record from the leader, for changing it.
func (s *Store) latest(ctx context.Context, r Ref) (*Connection, error) {
	e, err := latest(ctx, s.buckets.Connections, r.Key())
	if err != nil {
		return nil, s.readError(err, r)
	}
	c, err := parseRecord(e.Value, e.Revision, e.Key)
	return c, s.readError(err, r)
}

func (s *Store) readError(err error, r Ref) error {
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
	e := connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "could not %s: the store did not answer; try again", operation)
	e.Cause = err
	return e
}

// seal returns the record as it is stored. plain is the config in the clear, url
// the secret of the webhook URL or none.
func (s *Store) seal(c *Connection, plain json.RawMessage, secretPaths []string, url secret.Text) ([]byte, error) {
	key := c.Ref().Key()
	c.Config = plain
	if c.Webhook != nil && !url.IsZero() {
		c.Webhook.Secret = url.Reveal()
	}
	pointers := make([]string, 0, len(secretPaths)+1)
	for _, p := range secretPaths {
		pointers = append(pointers, "/config"+p)
	}
	if c.Webhook != nil {
		pointers = append(pointers, pointerWebhookSecret)
	}
	c.Sealed = pointers
	doc, err := json.Marshal(c)
	if err != nil {
		return nil, encryptError(err)
	}
	sealed, err := s.keys.SealFields(doc, pointers, s.binding(bucketConnections, key))
	if err != nil {
		return nil, encryptError(err)
	}
	stored, err := parseRecord(sealed, c.revision, key)
	if err != nil {
		return nil, encryptError(err)
	}
	*c = *stored
	return sealed, nil
}

// opened returns the record in the clear: for a change, or for use.
func (s *Store) opened(c *Connection) (*Connection, error) {
	doc, err := json.Marshal(c)
	if err != nil {
		return nil, decryptError(c, err)
	}
	key := c.Ref().Key()
	plain, err := s.keys.OpenFields(doc, c.Sealed, s.binding(bucketConnections, key))
	if err != nil {
		return nil, decryptError(c, err)
	}
	open, err := parseRecord(plain, c.revision, key)
	if err != nil {
		return nil, decryptError(c, err)
	}
	return open, nil
}

// OpenConfig returns a record's config in the clear. Keep it no longer than the
// work that needs it. CONNECTOR_DECRYPT_FAILED.
func (s *Store) OpenConfig(c *Connection) (json.RawMessage, error) {
	if !slices.ContainsFunc(c.Sealed, func(p string) bool { return p != pointerWebhookSecret }) {
		return c.Config, nil
	}
	open, err := s.opened(c)
	if err != nil {
		return nil, err
	}
	return open.Config, nil
}

// OpenConfigField opens one string field of a record's config, by its dotted
// path: what verifying a webhook needs, and no more. The absent secret if there
// is none.
func (s *Store) OpenConfigField(c *Connection, path string) (secret.Text, error) {
	value, pointer := c.Config, "/config"
	for name := range strings.SplitSeq(path, ".") {
		var object map[string]json.RawMessage
		if json.Unmarshal(value, &object) != nil {
			return secret.Text{}, nil
		}
		pointer += "/" + name
		if value = object[name]; value == nil || string(value) == "null" {
			return secret.Text{}, nil
		}
	}
	if slices.Contains(c.Sealed, pointer) {
		var envelope string
		if err := json.Unmarshal(value, &envelope); err != nil {
			return secret.Text{}, decryptError(c, errors.New("a sealed field is not an envelope"))
		}
		plain, err := s.keys.Open(envelope, s.binding(bucketConnections, c.Ref().Key()), pointer)
		if err != nil {
			return secret.Text{}, decryptError(c, err)
		}
		value = plain
	}
	var out secret.Text
	if err := json.Unmarshal(value, &out); err != nil {
		return secret.Text{}, decryptError(c, err)
	}
	return out, nil
}

func (s *Store) binding(bucket, key string) crypto.Binding {
	return crypto.Binding{Bucket: s.prefix + "-" + bucket, Key: key}
}

func encryptError(err error) error {
	e := connectors.Errorf(connectors.CodeConnectorEncryptFailed, "could not seal the record")
	e.Cause = err
	return e
}

func decryptError(c *Connection, err error) error {
	e := connectors.Errorf(connectors.CodeConnectorDecryptFailed,
		"could not open the secrets of connection %s: the keyset does not hold its key, or the record was altered", c.ID)
	e.Cause = err
	return e
}
