package records

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

// GrantState says whether a grant's tokens can be renewed.
type GrantState string

// The states. A new authorisation takes a dead grant back to live.
const (
	GrantLive    GrantState = "live"
	GrantRevoked GrantState = "needs_reauth" // the provider refuses its refresh token for good
	// GrantUnused has no connections any more, and lies only until the provider has
	// been told.
	GrantUnused GrantState = "leaving"
)

// Grant is an OAuth authorisation: the tokens of one provider account, which all
// of a tenant's connections of one family and account share. Its key is
// "<scope>.<identity>.<family>.<hash of client and provider account>".
//
// The generation grows with every set of tokens. Whoever calls the token endpoint
// writes his intent first; an intent without an outcome means that a rotation may
// have been lost.
type Grant struct {
	Scope     string `json:"scope"`
	Identity  string `json:"identity"`
	Family    string `json:"family"`
	Connector string `json:"connector"` // whose definition made it
	ClientID  string `json:"client_id"` // whose client made it
	Account   string `json:"account"`   // the provider's account, "" if unknown

	// Companion is which of the connector's companions it is; "" of a main grant.
	Companion string `json:"companion,omitempty"`
	// MainGrant is the key of the main grant that its tokens are had for by exchange; "" of
	// every other.
	MainGrant string `json:"of,omitempty"`

	State      GrantState `json:"state"`
	User       *User      `json:"user,omitempty"`
	Requested  []string   `json:"requested_scopes,omitempty"`
	Granted    []string   `json:"granted_scopes,omitempty"`
	Generation uint64     `json:"generation"`
	// AccessToken and RefreshToken are envelopes; "" is no token.
	AccessToken    string           `json:"access_token,omitempty"`
	RefreshToken   string           `json:"refresh_token,omitempty"`
	IssuedAt       time.Time        `json:"issued_at"`
	ExpiresAt      time.Time        `json:"expires_at,omitzero"`      // zero: never
	RefreshExpires time.Time        `json:"refresh_expires,omitzero"` // zero: unknown
	ExpiryWarned   bool             `json:"expiry_warned,omitempty"`  // oauth.expiring was said
	Intent         *Intent          `json:"intent,omitempty"`         // of a call under way, or lost
	Failures       int              `json:"failures,omitempty"`       // transient ones in a row
	RetryAt        time.Time        `json:"retry_at,omitzero"`        // not before
	History        []Renewal        `json:"history,omitempty"`        // the last ones, oldest first
	References     []GrantReference `json:"holds"`                    // of the connections that share it
	// ClientCredentials: there is no user and no refresh token; the client asks
	// for a new token as it asked for the first.
	ClientCredentials bool `json:"client_credentials,omitempty"`
	// Exchanged: there is no refresh token; the access token is traded in for the next
	// while it is good.
	Exchanged  bool               `json:"traded,omitempty"`
	Revocation *PendingRevocation `json:"leaving,omitempty"`
	CreatedAt  time.Time          `json:"created_at"`
	UpdatedAt  time.Time          `json:"updated_at"`
	Sealed     []string           `json:"sealed"`

	key      string
	revision uint64
}

// User is the person or account behind a grant, as the provider tells it.
type User struct {
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"`
	Email  string `json:"email,omitempty"`
	Avatar string `json:"avatar,omitempty"`
}

// Intent is the announcement of a call of the token endpoint.
type Intent struct {
	Generation uint64    `json:"generation"` // that the call would make
	Holder     string    `json:"holder"`
	At         time.Time `json:"at"`
	// Lost says that there was one before it, without an outcome.
	Lost bool `json:"lost,omitempty"`
}

// PendingRevocation is what is left to do for a grant that nobody uses.
type PendingRevocation struct {
	Account string `json:"account"`          // of its last connection
	Config  string `json:"config,omitempty"` // of that one, an envelope, where the revocation is made of it
	Tries   int    `json:"tries"`            // that failed
}

// Renewal is one refresh.
type Renewal struct {
	At         time.Time `json:"at"`
	Generation uint64    `json:"generation"`
	Outcome    string    `json:"outcome"` // refreshed, authorised, or an error's reason
}

const maxHistory = 10

// GrantTokens are the tokens of a grant, opened. They print as nothing.
type GrantTokens struct{ Access, Refresh secret.Text }

// GrantKey is where the grant of a provider account lies.
func GrantKey(t events.Tenant, family, clientID, account string) string {
	return grantKey(t, family, clientID, account)
}

// CompanionKey is where a companion's grant lies.
func CompanionKey(t events.Tenant, family, clientID, account, companion string) string {
	return grantKey(t, family, clientID, account, companion)
}

func grantKey(t events.Tenant, family string, parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		_ = binary.Write(h, binary.BigEndian, uint32(len(part))) // a hash never fails
		h.Write([]byte(part))
	}
	return t.Tokens() + "." + events.Token(family) + "." + hex.EncodeToString(h.Sum(nil)[:16])
}

// Key is where the grant lies.
func (g *Grant) Key() string { return g.key }

// Tenant is whose grant it is.
func (g *Grant) Tenant() events.Tenant { return events.Tenant{Scope: g.Scope, Identity: g.Identity} }

// Lifetime is how long the current access token lives; 0 is for ever.
func (g *Grant) Lifetime() time.Duration {
	if g.ExpiresAt.IsZero() {
		return 0
	}
	return max(g.ExpiresAt.Sub(g.IssuedAt), time.Second)
}

// AddHistory adds to the history.
func (g *Grant) AddHistory(at time.Time, outcome string) {
	g.History = append(g.History, Renewal{at.UTC(), g.Generation, outcome})
	if extra := len(g.History) - maxHistory; extra > 0 {
		g.History = slices.Delete(g.History, 0, extra)
	}
}

const (
	pointerAccess  = "/access_token"
	pointerRefresh = "/refresh_token"
	pointerLeaving = "/leaving/config"
)

// Grants reads and writes grants. Safe for concurrent use.
type Grants struct {
	bucket kvstore.Store
	sealer *Sealer
	cache  *cache[*Grant]
}

// NewGrants returns the grants of buckets.
func NewGrants(buckets Buckets, sealer *Sealer) *Grants {
	return &Grants{buckets.Grants, sealer, newCache(buckets.Grants, parseGrant)}
}

// Run keeps the cache fresh until ctx ends.
func (g *Grants) Run(ctx context.Context) error { return g.cache.run(ctx) }

// Get returns a grant for use, maybe from the cache; it must not be changed. The
// error is kvstore.ErrNotFound, or has a code.
func (g *Grants) Get(ctx context.Context, key string) (*Grant, error) {
	grant, err := g.cache.get(ctx, key)
	return grant, grantError(err)
}

// Latest returns a grant from the leader; the caller may change it.
func (g *Grants) Latest(ctx context.Context, key string) (*Grant, error) {
	e, err := latest(ctx, g.bucket, key)
	if err != nil {
		return nil, grantError(err)
	}
	grant, err := parseGrant(e)
	return grant, grantError(err)
}

// New returns a grant that is not stored yet.
func (g *Grants) New(key string) *Grant { return &Grant{key: key, State: GrantLive} }

// Save creates the grant, or updates it over the revision that it was read at.
// kvstore.ErrConflict or ErrExists: somebody was faster.
func (g *Grants) Save(ctx context.Context, grant *Grant) error {
	grant.UpdatedAt = time.Now().UTC()
	grant.Sealed = []string{pointerAccess, pointerRefresh}
	if grant.Revocation != nil {
		grant.Sealed = append(grant.Sealed, pointerLeaving)
	}
	doc, err := json.Marshal(grant)
	if err != nil {
		return EncryptError(err)
	}
	if grant.revision == 0 {
		grant.revision, err = g.bucket.Create(ctx, grant.key, doc, 0)
	} else {
		var revision uint64
		if revision, err = g.bucket.Update(ctx, grant.key, doc, grant.revision); err == nil {
			grant.revision = revision
		}
	}
	return err
}

// Delete removes the grant if nobody has changed it.
func (g *Grants) Delete(ctx context.Context, grant *Grant) error {
	return g.bucket.Delete(ctx, grant.key, grant.revision)
}

func (g *Grants) binding(grant *Grant) crypto.Binding {
	return g.sealer.binding(bucketGrants, grant.key)
}

// Seal puts tokens into the grant.
func (g *Grants) Seal(grant *Grant, t GrantTokens) (err error) {
	if grant.AccessToken, err = g.sealer.sealText(g.binding(grant), pointerAccess, t.Access); err != nil {
		return err
	}
	grant.RefreshToken, err = g.sealer.sealText(g.binding(grant), pointerRefresh, t.Refresh)
	return err
}

// MarkUnused takes the grant's use away: what is left of it is there to be revoked.
// config is that of its last connection, nil where the revocation does not need it.
func (g *Grants) MarkUnused(grant *Grant, account string, config []byte) error {
	envelope, err := g.sealer.sealText(g.binding(grant), pointerLeaving, secret.New(string(config)))
	grant.State, grant.Intent, grant.Revocation = GrantUnused, nil, &PendingRevocation{Account: account, Config: envelope}
	return err
}

// RevocationConfig is the config that was given to Leave.
func (g *Grants) RevocationConfig(grant *Grant) ([]byte, error) {
	text, err := g.sealer.openText(g.binding(grant), pointerLeaving, grant.Revocation.Config)
	if text.IsZero() {
		return nil, err
	}
	return []byte(text.Reveal()), err
}

// Open returns the grant's tokens. CONNECTOR_DECRYPT_FAILED.
func (g *Grants) Open(grant *Grant) (t GrantTokens, err error) {
	if t.Access, err = g.sealer.openText(g.binding(grant), pointerAccess, grant.AccessToken); err != nil {
		return t, err
	}
	t.Refresh, err = g.sealer.openText(g.binding(grant), pointerRefresh, grant.RefreshToken)
	return t, err
}

// List yields the grants whose keys match filter.
func (g *Grants) List(ctx context.Context, filter string) iter.Seq2[*Grant, error] {
	return func(yield func(*Grant, error) bool) {
		for e, err := range g.bucket.List(ctx, filter) {
			var grant *Grant
			if err == nil {
				grant, err = parseGrant(e)
			}
			if err != nil {
				err = DatabaseError("list the grants", err)
			}
			if !yield(grant, err) {
				return
			}
		}
	}
}

func parseGrant(e kvstore.Entry) (*Grant, error) {
	grant := &Grant{}
	if err := json.Unmarshal(e.Value, grant); err != nil {
		return nil, fmt.Errorf("grant record %s is not JSON of the known form", e.Key)
	}
	// The key is the authority on whose grant it is.
	if !strings.HasPrefix(e.Key, grant.Tenant().Tokens()+"."+events.Token(grant.Family)+".") {
		return nil, fmt.Errorf("grant record %s says that it belongs elsewhere", e.Key)
	}
	grant.key, grant.revision = e.Key, e.Revision
	return grant, nil
}

func grantError(err error) error {
	if err == nil || errors.Is(err, kvstore.ErrNotFound) {
		return err
	}
	return DatabaseError("read the grant", err)
}
