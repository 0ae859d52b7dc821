package records

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

const (
	// maxAPITokens bounds the tokens that are not revoked.
	maxAPITokens = 1000
	// longestTokenLife bounds an expiry, so that no time overflows.
	longestTokenLife = 100 * 365 * 24 * time.Hour
	// storeUsesEvery is how exact a stored time of last use is.
	storeUsesEvery = 10 * time.Second
	usedPrefix     = "used."
)

// ListedToken is a token as callers see it.
type ListedToken struct {
	APIToken
	// LastUsedAt is exact to some seconds.
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	Expired    bool       `json:"expired,omitempty"`

	key string
}

var tokenNameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// Create makes a new token that is valid at once in every process, and returns it.
// Name and Role are required. REQUEST_INVALID for a name that another token has, and for
// what is malformed.
func (t *APITokens) Create(ctx context.Context, token APIToken) (secret.Text, error) {
	if err := token.check(); err != nil {
		return secret.Text{}, err
	}
	all, err := t.List(ctx)
	if err != nil {
		return secret.Text{}, err
	}
	if len(all) >= maxAPITokens {
		return secret.Text{}, connectors.Errorf(connectors.CodeConnectorQuotaExceeded, "there are %d API tokens, the most that there may be: revoke some", len(all))
	}
	taken := invalidToken("name", "is the name of another token: revoke that one, or use another name")
	// A token of an older version has no reservation of its name.
	if slices.ContainsFunc(all, func(l ListedToken) bool { return l.Name == token.Name }) {
		return secret.Text{}, taken
	}
	made := NewAPIToken()
	if token.CreatedAt.IsZero() {
		token.CreatedAt = time.Now().UTC()
	}
	err = t.reserve(ctx, token.Name, tokenKey(made))
	if errors.Is(err, kvstore.ErrExists) {
		return secret.Text{}, taken
	}
	if err == nil {
		err = t.create(ctx, tokenKey(made), token)
	}
	if err != nil {
		return secret.Text{}, DatabaseError("store the API token", err)
	}
	return made, nil
}

func (t APIToken) check() error {
	switch {
	case !tokenNameForm.MatchString(t.Name):
		return invalidToken("name", "must be 1 to 64 letters, digits and . _ @ -, a letter or digit first")
	case t.Role != RoleRead && t.Role != RoleOperator && t.Role != RoleAdmin:
		return invalidToken("role", "must be admin, operator or read")
	case t.Scope == "" && t.Identity != "":
		return invalidToken("scope", "is required with an identity")
	case t.ExpiresAt != nil && !t.ExpiresAt.After(time.Now()):
		return invalidToken("expires_in", "must be a time above zero")
	}
	return nil
}

func invalidToken(path, message string) error {
	e := connectors.Errorf(connectors.CodeRequestInvalid, "%s %s", path, message)
	e.Errors = []schema.FieldError{{Path: path, Message: message}}
	return e
}

// ParseExpiry reads a time such as 90d or 12h from now; "" is none.
func ParseExpiry(text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	life, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		life = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || life <= 0 || life > longestTokenLife {
		return nil, invalidToken("expires_in", "must be a time above zero, such as 90d or 12h")
	}
	at := time.Now().Add(life).UTC()
	return &at, nil
}

// List returns the tokens that are not revoked, by name.
func (t *APITokens) List(ctx context.Context) ([]ListedToken, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	byKey, used := map[string]ListedToken{}, map[string]time.Time{}
	for e, err := range t.bucket.List(ctx, ">") {
		if err != nil {
			return nil, DatabaseError("list the API tokens", err)
		}
		if key, ok := strings.CutPrefix(e.Key, usedPrefix); ok {
			used[key], _ = time.Parse(time.RFC3339, string(e.Value))
			continue
		}
		token, err := t.known.parse(e)
		if !strings.Contains(e.Key, ".") && err == nil { // else a name
			byKey[e.Key] = ListedToken{APIToken: token, Expired: !token.Valid(time.Now()), key: e.Key}
		}
	}
	all := make([]ListedToken, 0, len(byKey))
	t.mu.Lock()
	defer t.mu.Unlock()
	for key, listed := range byKey {
		if listed.RevokedAt != nil {
			continue
		}
		if at := latestOf(used[key], t.used[key]); !at.IsZero() {
			listed.LastUsedAt = &at
		}
		all = append(all, listed)
	}
	slices.SortFunc(all, func(a, b ListedToken) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.key, b.key)) })
	return all, nil
}

func latestOf(a, b time.Time) time.Time {
	if b.After(a) {
		a = b
	}
	return a.UTC().Truncate(time.Second)
}

// Revoke ends the token with a name, in every process as soon as its watch reports it.
// Tokens of older versions may share a name: all of them are revoked. [ErrNotFound] if
// there is none.
func (t *APITokens) Revoke(ctx context.Context, name string) error {
	all, err := t.List(ctx)
	if err != nil {
		return err
	}
	found := false
	for _, listed := range all {
		if listed.Name != name {
			continue
		}
		found = true
		if err := t.revoke(ctx, listed.key); err != nil {
			return err
		}
	}
	// Last, so that a revocation that fails can be repeated. A reservation whose token was
	// never stored ends here too.
	switch err := t.bucket.Delete(ctx, nameKey(name), 0); {
	case err == nil || found && errors.Is(err, kvstore.ErrNotFound):
		return nil
	case errors.Is(err, kvstore.ErrNotFound):
		return err
	default:
		return DatabaseError("revoke the API token", err)
	}
}

func (t *APITokens) revoke(ctx context.Context, key string) error {
	now := time.Now().UTC()
	_, err := kvstore.Modify(ctx, t.bucket, key, func(old []byte) ([]byte, error) {
		var token APIToken
		if old == nil {
			return nil, kvstore.ErrKeep
		}
		if err := json.Unmarshal(old, &token); err != nil {
			return nil, err
		}
		token.RevokedAt = &now
		return json.Marshal(token)
	})
	t.known.forget(key)
	if err != nil {
		return DatabaseError("revoke the API token", err)
	}
	if err := t.bucket.Delete(ctx, usedPrefix+key, 0); err != nil && !errors.Is(err, kvstore.ErrNotFound) {
		return DatabaseError("revoke the API token", err)
	}
	return nil
}

// storeUses stores when tokens were used, until ctx ends, and once more then.
func (t *APITokens) storeUses(ctx context.Context) {
	for ctx.Err() == nil {
		pause(ctx, storeUsesEvery)
		t.mu.Lock()
		used := t.used
		t.used = make(map[string]time.Time, len(used))
		t.mu.Unlock()
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		for key, at := range used {
			t.storeUse(within, key, at)
		}
		cancel()
	}
}

// storeUse stores a use; one that cannot be stored is forgotten.
func (t *APITokens) storeUse(ctx context.Context, key string, at time.Time) {
	if token, err := t.known.get(ctx, key); err != nil || token.RevokedAt != nil {
		return
	}
	text := at.UTC().Format(time.RFC3339)
	_, _ = kvstore.Modify(ctx, t.bucket, usedPrefix+key, func(old []byte) ([]byte, error) {
		if string(old) >= text {
			return nil, kvstore.ErrKeep
		}
		return []byte(text), nil
	})
}
