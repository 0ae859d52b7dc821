package embedded

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/hawser-io/hawser/pkg/secret"
)

// The kinds of subjects between Hawser and its tenants. Hawser's account
// exports them; a tenant's account imports its own part:
//
//	hawser.action.<scope>.<identity>.>    service: the tenant publishes
//	hawser.result.<scope>.<identity>.>    stream: the tenant subscribes
//	hawser.event.<scope>.<identity>.>     stream
//	hawser.webhook.<scope>.<identity>.>   stream
const actionKind = "action"

func streamKinds() []string { return []string{"result", "event", "webhook"} }

// operatorClaims is what the server trusts.
func (k *keys) operatorClaims() (*jwt.OperatorClaims, error) {
	claims := jwt.NewOperatorClaims(k.operator.public)
	claims.Name = "hawser"
	claims.SystemAccount = k.system.public
	token, err := claims.Encode(k.operator.pair)
	if err != nil {
		return nil, fmt.Errorf("sign the operator's claims: %w", err)
	}
	return jwt.DecodeOperatorClaims(token)
}

// writeAccounts writes the claims of the two accounts that every folder has.
// They are derived from the keys and the prefix, so each start writes them again.
func (f folder) writeAccounts(ring *keys, prefix string, roles ...Role) error {
	system := jwt.NewAccountClaims(ring.system.public)
	system.Name = "SYS"
	if err := f.writeAccount(ring, system); err != nil {
		return err
	}
	hawser := jwt.NewAccountClaims(ring.hawser.public)
	hawser.Name = "HAWSER"
	hawser.Limits.JetStreamLimits = jwt.JetStreamLimits{
		MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit,
		MaxAckPending: jwt.NoLimit, MemoryMaxStreamBytes: jwt.NoLimit, DiskMaxStreamBytes: jwt.NoLimit,
	}
	hawser.Exports.Add(&jwt.Export{
		Name: actionKind, Subject: jwt.Subject(prefix + "." + actionKind + ".>"), Type: jwt.Service,
	})
	for _, kind := range streamKinds() {
		hawser.Exports.Add(&jwt.Export{
			Name: kind, Subject: jwt.Subject(prefix + "." + kind + ".>"), Type: jwt.Stream,
		})
	}
	for _, role := range roles {
		hawser.SigningKeys.AddScopedSigner(ring.scope(role))
	}
	return f.writeAccount(ring, hawser)
}

func (f folder) writeAccount(ring *keys, claims *jwt.AccountClaims) error {
	var problems jwt.ValidationResults
	claims.Validate(&problems)
	if errs := problems.Errors(); len(errs) > 0 {
		return fmt.Errorf("claims of account %s: %w", claims.Name, errors.Join(errs...))
	}
	token, err := claims.Encode(ring.operator.pair)
	if err != nil {
		return fmt.Errorf("sign the claims of account %s: %w", claims.Name, err)
	}
	if err := writeFile(f.accountPath(claims.Subject), []byte(token)); err != nil {
		return fmt.Errorf("write the claims of account %s: %w", claims.Name, err)
	}
	return nil
}

// userCreds are one user's credentials.
type userCreds struct {
	token string // signed claims: public
	seed  secret.Text
}

// newUser makes a user of the account. restrict, if not nil, restricts the
// claims; without it the user has all permissions of the account.
func newUser(account key, name string, restrict func(*jwt.UserClaims)) (userCreds, error) {
	made, seed, err := newKey(nkeys.PrefixByteUser)
	if err != nil {
		return userCreds{}, err
	}
	claims := jwt.NewUserClaims(made.public)
	claims.Name = name
	if restrict != nil {
		restrict(claims)
	}
	token, err := claims.Encode(account.pair)
	if err != nil {
		return userCreds{}, fmt.Errorf("sign the claims of user %q: %w", name, err)
	}
	return userCreds{token: token, seed: seed}, nil
}

// newOperatorUser makes a user with all rights in Hawser's account.
func (k *keys) newOperatorUser(name string) (userCreds, error) { return newUser(k.hawser, name, nil) }

// option authenticates a connection as the user.
func (u userCreds) option() nats.Option {
	return nats.UserJWTAndSeed(u.token, u.seed.Reveal())
}

// file is the content of a credentials file.
func (u userCreds) file() (secret.Text, error) {
	content, err := jwt.FormatUserConfig(u.token, []byte(u.seed.Reveal()))
	if err != nil {
		return secret.Text{}, errors.New("format the credentials file")
	}
	return secret.New(string(content)), nil
}

// ensureOperatorCreds writes nats.creds if there is none, and refuses one that
// this server would not let in.
func (f folder) ensureOperatorCreds(ring *keys) error {
	content, err := readPrivate(f.credsPath())
	if err == nil {
		return f.checkOperatorCreds(ring, content)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the operator's NATS credentials: %w", err)
	}
	user, err := ring.newOperatorUser("operator")
	if err != nil {
		return err
	}
	creds, err := user.file()
	if err != nil {
		return err
	}
	if err := writeFile(f.credsPath(), []byte(creds.Reveal())); err != nil {
		return fmt.Errorf("write the operator's NATS credentials: %w", err)
	}
	return nil
}

func (f folder) checkOperatorCreds(ring *keys, content []byte) error {
	const advice = "nothing was changed: move the file away and start again; a new one is then written"
	token, err := jwt.ParseDecoratedJWT(content)
	var claims *jwt.UserClaims
	if err == nil {
		claims, err = jwt.DecodeUserClaims(token)
	}
	if err == nil {
		_, err = jwt.ParseDecoratedUserNKey(content)
	}
	if err != nil {
		return fmt.Errorf("%s is not a NATS credentials file; %s", f.credsPath(), advice)
	}
	if claims.Issuer != ring.hawser.public {
		return fmt.Errorf("%s was not issued by the keys in %s; %s", f.credsPath(), f.keysPath(), advice)
	}
	return nil
}
