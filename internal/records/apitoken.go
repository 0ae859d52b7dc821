package records

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Role is what an API token may do.
type Role string

// The roles. Every role may do what those before it may.
const (
	RoleRead     Role = "read"     // see everything but secrets and payloads
	RoleOperator Role = "operator" // change everything
	RoleAdmin    Role = "admin"    // see secrets and payloads, and make and revoke tokens
)

// APIToken is what is stored about a token. A record without a role is of a version that
// knew no roles: an admin's.
type APIToken struct {
	Name string `json:"name"`
	Role Role   `json:"role,omitempty"`
	// Scope and Identity are the tenant that the token is bound to; without a scope it is
	// bound to none.
	Scope     string     `json:"scope,omitempty"`
	Identity  string     `json:"identity,omitempty"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	// RevokedAt is kept, so that a token that is revoked is not added again: hawser up adds
	// that of its data folder at every start.
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
}

// Tenant returns the tenant that the token is bound to; bound is false if there is none.
func (t APIToken) Tenant() (tenant events.Tenant, bound bool) {
	return events.Tenant{Scope: t.Scope, Identity: t.Identity}, t.Scope != ""
}

// Valid reports whether the token may be used at a time.
func (t APIToken) Valid(at time.Time) bool {
	return t.RevokedAt == nil && (t.ExpiresAt == nil || at.Before(*t.ExpiresAt))
}

// APITokens are the bearer tokens of the management API. The bucket holds their
// SHA-256 only. A token has 256 random bits, so a plain hash is enough: there is
// nothing to guess.
//
//	<hash>         the token
//	name.<name>    the hash of the token that has the name
//	used.<hash>    when the token was last used
//
// Safe for concurrent use.
type APITokens struct {
	bucket kvstore.Store
	known  *cache[APIToken]

	mu   sync.Mutex
	used map[string]time.Time // by hash, since they were last written; guarded by mu
}

// NewAPITokens returns the API tokens of buckets.
func NewAPITokens(buckets Buckets) *APITokens {
	known := newCache(buckets.APITokens, func(e kvstore.Entry) (APIToken, error) {
		var t APIToken
		if err := json.Unmarshal(e.Value, &t); err != nil {
			return t, err
		}
		if t.Role == "" {
			t.Role = RoleAdmin
		}
		return t, nil
	})
	return &APITokens{bucket: buckets.APITokens, known: known, used: map[string]time.Time{}}
}

// Run keeps the cache current, and stores when tokens were used, until ctx ends.
func (t *APITokens) Run(ctx context.Context) error {
	var uses sync.WaitGroup
	uses.Go(func() { t.storeUses(ctx) })
	defer uses.Wait()
	return t.known.run(ctx)
}

// NewAPIToken returns a new token; it is not valid until it is added.
func NewAPIToken() secret.Text {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return secret.New("hwt_" + base64.RawURLEncoding.EncodeToString(b[:]))
}

// Add makes a given token valid, as an admin's. Adding it again changes nothing, also
// once it is revoked. If another token has the name, it gets one with a suffix.
func (t *APITokens) Add(ctx context.Context, token secret.Text, name string) error {
	key := tokenKey(token)
	_, err := latest(ctx, t.bucket, key)
	if err == nil {
		return nil
	}
	if errors.Is(err, kvstore.ErrNotFound) {
		err = t.reserve(ctx, name, key)
		if errors.Is(err, kvstore.ErrExists) {
			name = fmt.Sprintf("%s-%.8s", name, key)
			err = t.reserve(ctx, name, key)
		}
	}
	if err == nil || errors.Is(err, kvstore.ErrExists) {
		err = t.create(ctx, key, APIToken{Name: name, Role: RoleAdmin, CreatedAt: time.Now().UTC()})
	}
	if err != nil && !errors.Is(err, kvstore.ErrExists) {
		return DatabaseError("store the API token", err)
	}
	return nil
}

// reserve takes a name for the token with a hash. [ErrExists] if another token has it.
func (t *APITokens) reserve(ctx context.Context, name, key string) error {
	_, err := t.bucket.Create(ctx, nameKey(name), []byte(key), 0)
	if !errors.Is(err, kvstore.ErrExists) {
		return err
	}
	holder, readErr := latest(ctx, t.bucket, nameKey(name))
	if readErr == nil && string(holder.Value) == key {
		return nil
	}
	return err
}

func (t *APITokens) create(ctx context.Context, key string, token APIToken) error {
	value, err := json.Marshal(token)
	if err != nil {
		return err
	}
	_, err = t.bucket.Create(ctx, key, value, 0)
	return err
}

// Check returns nil for a valid token, UNAUTHENTICATED for another. The look-up is by the token's
// hash, so its time says nothing about the token.
func (t *APITokens) Check(ctx context.Context, token secret.Text) error {
	_, err := t.Find(ctx, token)
	return err
}

// Find is [APITokens.Check], and returns what is stored about the token.
func (t *APITokens) Find(ctx context.Context, token secret.Text) (APIToken, error) {
	key, now := tokenKey(token), time.Now()
	known, err := t.known.get(ctx, key)
	if err != nil && !errors.Is(err, kvstore.ErrNotFound) {
		return APIToken{}, DatabaseError("check the API token", err)
	}
	if err != nil || !known.Valid(now) {
		return APIToken{}, connectors.Errorf(connectors.CodeUnauthenticated, "the API token is not valid")
	}
	t.mu.Lock()
	t.used[key] = now
	t.mu.Unlock()
	return known, nil
}

// IsCached reports whether a token was looked up lately, without asking the store.
func (t *APITokens) IsCached(token secret.Text) bool { return t.known.has(tokenKey(token)) }

func tokenKey(token secret.Text) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:])
}

func nameKey(name string) string { return "name." + events.Token(name) }
