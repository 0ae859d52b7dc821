package connection

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

// Tokens are the bearer tokens of the management API. The bucket holds their
// SHA-256 only. A token has 256 random bits, so a plain hash is enough: there is
// nothing to guess.
type Tokens struct {
	bucket kvstore.Store
	known  *cache[Token]
}

// Token is what is kept of a token.
type Token struct {
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
}

// NewTokens returns the tokens kept in buckets.
func NewTokens(buckets Buckets) *Tokens {
	return &Tokens{buckets.Tokens, newCache(buckets.Tokens, func(e kvstore.Entry) (Token, error) {
		var t Token
		return t, json.Unmarshal(e.Value, &t)
	})}
}

// Run keeps the cache fresh until ctx ends.
func (t *Tokens) Run(ctx context.Context) error { return t.known.run(ctx) }

// NewToken returns a new token; it is not valid until it is added.
func NewToken() secret.Text {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return secret.New("hwt_" + base64.RawURLEncoding.EncodeToString(b[:]))
}

// Add makes a token valid. Adding it again changes nothing.
func (t *Tokens) Add(ctx context.Context, token secret.Text, name string) error {
	value, err := json.Marshal(Token{name, time.Now().UTC()})
	if err != nil {
		return err
	}
	_, err = t.bucket.Create(ctx, tokenKey(token), value, 0)
	if err != nil && !errors.Is(err, kvstore.ErrExists) {
		return databaseError("store the API token", err)
	}
	return nil
}

// Check returns nil for a valid token. Finding it by its hash takes the same time
// for every wrong one: what a guesser could measure is the hash, not the token.
func (t *Tokens) Check(ctx context.Context, token secret.Text) error {
	_, err := t.Find(ctx, token)
	return err
}

// Find is [Tokens.Check], and returns what is kept of the token.
func (t *Tokens) Find(ctx context.Context, token secret.Text) (Token, error) {
	known, err := t.known.get(ctx, tokenKey(token))
	if errors.Is(err, kvstore.ErrNotFound) {
		return Token{}, connectors.Errorf(connectors.CodeUnauthenticated, "the API token is not valid")
	}
	if err != nil {
		return Token{}, databaseError("check the API token", err)
	}
	return known, nil
}

func tokenKey(token secret.Text) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:])
}
