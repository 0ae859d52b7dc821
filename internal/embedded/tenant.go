package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/hawser-io/hawser/pkg/secret"
)

// TenantCreds issues credentials that can do what one tenant may, and nothing
// else: publish hawser.action.<scope>.<identity>.> and subscribe
// hawser.{result,event,webhook}.<scope>.<identity>.> and its own inboxes. It
// returns the content of a credentials file.
//
// The tokens are escaped subject tokens; prefix "" is "hawser". Every call
// makes a NATS account of its own (see docs/decisions/0002). A server that runs
// on the folder accepts the account at once. A server must have been started on
// the folder before.
func TenantCreds(dataDir, scopeToken, identityToken, prefix string) (creds secret.Text, err error) {
	t, err := newTenant(prefix, scopeToken, identityToken)
	if err != nil {
		return secret.Text{}, err
	}
	dir := folder(dataDir)
	ring, err := dir.readKeys()
	if errors.Is(err, fs.ErrNotExist) {
		return secret.Text{}, fmt.Errorf("%s has no NATS keys yet: start `hawser up` on it once, or name the right folder", dataDir)
	}
	if err != nil {
		return secret.Text{}, err
	}
	account, _, err := newKey(nkeys.PrefixByteAccount)
	if err != nil {
		return secret.Text{}, err
	}
	// The user is made first: an account without one is of no use.
	user, err := newUser(account, t.name(), t.restrict)
	if err != nil {
		return secret.Text{}, err
	}
	creds, err = user.file()
	if err != nil {
		return secret.Text{}, err
	}
	if err := dir.writeAccount(ring, t.account(account.public, ring.hawser.public)); err != nil {
		return secret.Text{}, err
	}
	return creds, nil
}

// tenant is the tenant that credentials are for, in subject tokens.
type tenant struct{ prefix, scope, identity string }

var (
	scopeForm    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)
	identityForm = regexp.MustCompile(`^(=|([A-Za-z0-9_-]|=[0-9A-F]{2}){1,128})$`)
)

func newTenant(prefix, scope, identity string) (tenant, error) {
	if prefix == "" {
		prefix = defaultPrefix
	}
	if err := checkPrefix(prefix); err != nil {
		return tenant{}, err
	}
	if !scopeForm.MatchString(scope) {
		return tenant{}, fmt.Errorf("scope %q: give a lower-case letter followed by lower-case letters, digits and -", scope)
	}
	if !identityForm.MatchString(identity) {
		return tenant{}, fmt.Errorf("identity token %q: give letters, digits, _ and -, other bytes as =XX, the empty identity as =", identity)
	}
	return tenant{prefix: prefix, scope: scope, identity: identity}, nil
}

func (t tenant) name() string { return "tenant " + t.scope + "." + t.identity }

// subject is the tenant's part of one kind of subjects.
func (t tenant) subject(kind string) string {
	return t.prefix + "." + kind + "." + t.scope + "." + t.identity + ".>"
}

// account is the claims of an account that imports the tenant's part and has
// nothing else: no JetStream, no exports, no leaf nodes.
func (t tenant) account(public, hawser string) *jwt.AccountClaims {
	claims := jwt.NewAccountClaims(public)
	claims.Name = t.name()
	claims.Limits.Exports = 0
	claims.Limits.WildcardExports = false
	claims.Limits.LeafNodeConn = 0
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{}
	claims.Imports.Add(&jwt.Import{
		Name: actionKind, Subject: jwt.Subject(t.subject(actionKind)), Account: hawser, Type: jwt.Service,
	})
	for _, kind := range streamKinds() {
		claims.Imports.Add(&jwt.Import{
			Name: kind, Subject: jwt.Subject(t.subject(kind)), Account: hawser, Type: jwt.Stream,
		})
	}
	return claims
}

// restrict limits the user to what the account imports, so that everything else
// is answered with a permissions violation instead of being ignored.
func (t tenant) restrict(claims *jwt.UserClaims) {
	claims.Permissions.Pub.Allow.Add(t.subject(actionKind))
	for _, kind := range streamKinds() {
		claims.Permissions.Sub.Allow.Add(t.subject(kind))
	}
	claims.Permissions.Sub.Allow.Add("_INBOX.>") // private: the account has no other tenant
	claims.AllowedConnectionTypes.Add(jwt.ConnectionTypeStandard, jwt.ConnectionTypeInProcess)
}
