package records

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

// APITokens are the bearer tokens of the management API. The bucket holds their
// SHA-256 only. A token has 256 random bits, so a plain hash is enough: there is
// nothing to guess.
type APITokens struct {
	bucket kvstore.Store
	known  *cache[APIToken]
}

// APIToken is what is stored about a token.
type APIToken struct {
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
}

// NewAPITokens returns the API tokens of buckets.
func NewAPITokens(buckets Buckets) *APITokens {
	return &APITokens{buckets.APITokens, newCache(buckets.APITokens, func(e kvstore.Entry) (APIToken, error) {
		var t APIToken
		return t, json.Unmarshal(e.Value, &t)
	})}
}

// Run keeps the cache current until ctx ends.
func (t *APITokens) Run(ctx context.Context) error { return t.known.run(ctx) }

// NewAPIToken returns a new token; it is not valid until it is added.
func NewAPIToken() secret.Text {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return secret.New("hwt_" + base64.RawURLEncoding.EncodeToString(b[:]))
}

// Add makes a token valid. Adding it again changes nothing.
func (t *APITokens) Add(ctx context.Context, token secret.Text, name string) error {
	value, err := json.Marshal(APIToken{name, time.Now().UTC()})
	if err != nil {
		return err
	}
	_, err = t.bucket.Create(ctx, tokenKey(token), value, 0)
	if err != nil && !errors.Is(err, kvstore.ErrExists) {
		return DatabaseError("store the API token", err)
	}
	return nil
}

// Check returns nil for a valid token, UNAUTHENTICATED for another. The look-up is by the token's
// hash, so its time says nothing about the token.
func (t *APITokens) Check(ctx context.Context, token secret.Text) error {
	_, err := t.Find(ctx, token)
	return err
}

// Find is [APITokens.Check], and returns what is stored about the token.
func (t *APITokens) Find(ctx context.Context, token secret.Text) (APIToken, error) {
	known, err := t.known.get(ctx, tokenKey(token))
	if errors.Is(err, kvstore.ErrNotFound) {
		return APIToken{}, connectors.Errorf(connectors.CodeUnauthenticated, "the API token is not valid")
	}
	if err != nil {
		return APIToken{}, DatabaseError("check the API token", err)
	}
	return known, nil
}

// IsCached reports whether a token was looked up lately, without asking the store.
func (t *APITokens) IsCached(token secret.Text) bool { return t.known.has(tokenKey(token)) }

func tokenKey(token secret.Text) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:])
}
