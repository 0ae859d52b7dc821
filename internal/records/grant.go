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

// The states. A new authorisation makes a revoked grant live again.
const (
	GrantLive    GrantState = "live"
	GrantRevoked GrantState = "needs_reauth" // the provider refuses its refresh token for good
	// GrantUnused has no connections any more. It is stored until it is revoked at the provider.
	GrantUnused GrantState = "leaving"
)

// Grant is an OAuth authorisation: the tokens of one provider account, which all
// of a tenant's connections of one family and account share. Its key is
// "<scope>.<identity>.<family>.<hash of client and provider account>".
//
// The generation grows with every set of tokens. An intent is written before each call of the
// token endpoint; an intent without an outcome means that a rotated token may have been lost.
type Grant struct {
	Scope     string `json:"scope"`
	Identity  string `json:"identity"`
	Family    string `json:"family"`
	Connector string `json:"connector"` // whose definition made it
	ClientID  string `json:"client_id"` // whose client made it
	Account   string `json:"account"`   // the provider's account, "" if unknown

	// Companion is which of the connector's companions it is; "" of a main grant.
	Companion string `json:"companion,omitempty"`
	// MainGrant is the key of the main grant whose token is exchanged for this one's; "" of
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
	Refusals       int              `json:"refusals,omitempty"`       // in no known word, past the expiry, since the last success
	RetryAt        time.Time        `json:"retry_at,omitzero"`        // not before
	History        []Renewal        `json:"history,omitempty"`        // the last ones, oldest first
	References     []GrantReference `json:"holds"`                    // of the connections that share it
	// ClientCredentials: there is no user and no refresh token; the client asks
	// for a new token as it asked for the first.
	ClientCredentials bool `json:"client_credentials,omitempty"`
	// Exchanged: there is no refresh token; the access token is exchanged for the next
	// one while it is valid.
	Exchanged  bool               `json:"traded,omitempty"`
	Revocation *PendingRevocation `json:"leaving,omitempty"`
	CreatedAt  time.Time          `json:"created_at"`
	UpdatedAt  time.Time          `json:"updated_at"`
	Sealed     []string           `json:"sealed"`

	key      string
	revision uint64
}

// User is the person or account that authorised a grant, by the provider's userinfo.
type User struct {
	ID     string `json:"id"`
	Name   string `json:"name,omitempty"`
	Email  string `json:"email,omitempty"`
	Avatar string `json:"avatar,omitempty"`
}

// Intent says that a call of the token endpoint may be under way.
type Intent struct {
	Generation uint64    `json:"generation"` // that the call would make
	Holder     string    `json:"holder"`
	At         time.Time `json:"at"`
	// Lost says that there was one before it, without an outcome.
	Lost bool `json:"lost,omitempty"`
}

// PendingRevocation is what the revocation of an unused grant needs.
type PendingRevocation struct {
	Account string `json:"account"`          // of its last connection
	Config  string `json:"config,omitempty"` // of that one, an envelope, where the revocation is made of it
	Tries   int    `json:"tries"`            // that failed
}

// Renewal is one attempt to get new tokens.
type Renewal struct {
	At         time.Time `json:"at"`
	Generation uint64    `json:"generation"`
	Outcome    string    `json:"outcome"` // refreshed, authorised, or an error's reason
}

const maxHistory = 10

// GrantTokens are the tokens of a grant in the clear.
type GrantTokens struct{ Access, Refresh secret.Text }

// GrantKey returns the key of the grant of a provider account.
func GrantKey(t events.Tenant, family, clientID, account string) string {
	return grantKey(t, family, clientID, account)
}

// InstallationKey returns the key of the grant of an installed app.
func InstallationKey(t events.Tenant, family, clientID, installation string) string {
	return grantKey(t, family, clientID, installation, "", "installation")
}

// CompanionKey returns the key of a companion's grant.
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

// Key returns the key of the record.
func (g *Grant) Key() string { return g.key }

// Tenant returns the tenant that the grant belongs to.
func (g *Grant) Tenant() events.Tenant { return events.Tenant{Scope: g.Scope, Identity: g.Identity} }

// Lifetime returns how long the current access token is valid; 0 is forever.
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

// Run keeps the cache current until ctx ends.
func (g *Grants) Run(ctx context.Context) error { return g.cache.run(ctx) }

// Get returns a grant, which may come from the cache; the caller must not change it. The
// error is [ErrNotFound], or has a code.
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
// [ErrConflict] or [ErrExists] if another write was faster.
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

// Delete removes the grant. [ErrConflict] if it was changed since it was read.
func (g *Grants) Delete(ctx context.Context, grant *Grant) error {
	return g.bucket.Delete(ctx, grant.key, grant.revision)
}

func (g *Grants) binding(grant *Grant) crypto.Binding {
	return g.sealer.binding(bucketGrants, grant.key)
}

// Seal sets the tokens of the grant, sealed.
func (g *Grants) Seal(grant *Grant, t GrantTokens) (err error) {
	if grant.AccessToken, err = g.sealer.sealText(g.binding(grant), pointerAccess, t.Access); err != nil {
		return err
	}
	grant.RefreshToken, err = g.sealer.sealText(g.binding(grant), pointerRefresh, t.Refresh)
	return err
}

// MarkUnused makes the grant one that is only to be revoked. account and config are those of its last connection;
// config is nil where the revocation does not need it.
func (g *Grants) MarkUnused(grant *Grant, account string, config []byte) error {
	envelope, err := g.sealer.sealText(g.binding(grant), pointerLeaving, secret.New(string(config)))
	grant.State, grant.Intent, grant.Revocation = GrantUnused, nil, &PendingRevocation{Account: account, Config: envelope}
	return err
}

// RevocationConfig returns the config that was given to MarkUnused.
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
		return nil, fmt.Errorf("grant record %s belongs to another tenant or family than its key", e.Key)
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
