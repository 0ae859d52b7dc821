package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/hawser-io/hawser/pkg/secret"
)

// Role is a kind of user of Hawser's account, with the subjects that it may use.
type Role struct {
	Name               string
	Publish, Subscribe []string
}

// The files of the folder of a NATS system of the operator's own, besides nats/keys.json
// and nats/accounts. All have mode 0600.
const (
	authFile   = "auth.conf"    // operator, system account and Hawser's account, for the servers
	adminFile  = "admin.creds"  // all permissions in Hawser's account
	systemFile = "system.creds" // may add and remove accounts while the servers run
	claimsAPI  = "$SYS.REQ.CLAIMS."
)

// ErrSystemExists is the error of [InitSystem] for a folder that has keys.
var ErrSystemExists = errors.New("the folder has NATS keys already")

// InitSystem makes the operator, Hawser's account and credentials of a NATS system of the
// operator's own, in a folder that has none yet:
//
//	auth.conf         is included by the servers' configuration
//	admin.creds       all permissions in Hawser's account
//	system.creds      may add and remove accounts, and nothing else
//	<role>.creds      for each role
//	nats/keys.json    the seeds, which sign further credentials; the servers do not need them
//
// The permissions of a role are part of Hawser's account, not of its credentials (a scoped
// signing key): NATS checks them at each connect, and a changed account changes them for
// credentials that exist already.
func InitSystem(dir, prefix string, roles []Role) error {
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	f := folder(dir)
	if _, err := os.Stat(f.keysPath()); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(ErrSystemExists, err)
	}
	names := make([]string, 0, len(roles))
	for _, role := range roles {
		names = append(names, role.Name)
	}
	ring, err := f.makeKeys(names...)
	if err != nil {
		return err
	}
	if err := f.writeAccounts(ring, prefix, roles...); err != nil {
		return err
	}
	if err := f.writeAuth(ring); err != nil {
		return err
	}
	users := map[string]func() (userCreds, error){
		adminFile:  func() (userCreds, error) { return ring.newOperatorUser("admin") },
		systemFile: func() (userCreds, error) { return newUser(ring.system, "accounts", mayChangeAccounts) },
	}
	for _, name := range names {
		users[name+".creds"] = func() (userCreds, error) { return ring.newRoleUser(name) }
	}
	for file, user := range users {
		creds, err := user()
		if err != nil {
			return err
		}
		content, err := creds.file()
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(dir, file), []byte(content.Reveal())); err != nil {
			return fmt.Errorf("write NATS credentials: %w", err)
		}
	}
	return nil
}

// UpdateSystem gives Hawser's account of the system that [InitSystem] made in dir the
// permissions of roles, which a newer version may have changed. [AddAccounts] then has the
// requests that tell the servers.
func UpdateSystem(dir, prefix string, roles []Role) error {
	if err := checkPrefix(prefix); err != nil {
		return err
	}
	f := folder(dir)
	ring, err := f.readKeys()
	if err != nil {
		return err
	}
	for _, role := range roles {
		if _, ok := ring.roles[role.Name]; !ok {
			return fmt.Errorf("%s was not made by `hawser nats init`: it has no role %s", dir, role.Name)
		}
	}
	if err := f.writeAccounts(ring, prefix, roles...); err != nil {
		return err
	}
	return f.writeAuth(ring)
}

// RoleCreds issues further credentials of a role of the system that [InitSystem] made in
// dir, and returns the content of the credentials file.
func RoleCreds(dir, role string) (secret.Text, error) {
	ring, err := folder(dir).readKeys()
	if err != nil {
		return secret.Text{}, err
	}
	user, err := ring.newRoleUser(role)
	if err != nil {
		return secret.Text{}, err
	}
	return user.file()
}

// mayChangeAccounts restricts a user of the system account.
func mayChangeAccounts(claims *jwt.UserClaims) {
	claims.Permissions.Pub.Allow.Add(claimsAPI+"UPDATE", claimsAPI+"DELETE")
	claims.Permissions.Sub.Allow.Add("_INBOX.accounts.>")
}

// newRoleUser makes a user whose permissions are those that Hawser's account gives the role.
func (k *keys) newRoleUser(role string) (userCreds, error) {
	signer, ok := k.roles[role]
	if !ok {
		return userCreds{}, fmt.Errorf("there is no role %q in the folder: `hawser nats init` makes ingress, executor and refresher", role)
	}
	return newUser(signer, role, func(claims *jwt.UserClaims) {
		claims.SetScoped(true)
		claims.IssuerAccount = k.hawser.public
	})
}

// scope is the part of Hawser's account about a role.
func (k *keys) scope(role Role) *jwt.UserScope {
	scope := jwt.NewUserScope()
	scope.Key, scope.Role = k.roles[role.Name].public, role.Name
	scope.Template.Permissions.Pub.Allow.Add(role.Publish...)
	scope.Template.Permissions.Sub.Allow.Add(role.Subscribe...)
	scope.Template.AllowedConnectionTypes.Add(jwt.ConnectionTypeStandard)
	return scope
}

// writeAuth writes what the servers of the system trust.
func (f folder) writeAuth(ring *keys) error {
	operator, err := ring.operatorClaims()
	if err != nil {
		return err
	}
	signed, err := operator.Encode(ring.operator.pair)
	if err != nil {
		return fmt.Errorf("sign the operator's claims: %w", err)
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Made by `hawser nats init`. Nothing in it is secret.\noperator: %s\nsystem_account: %s\nresolver_preload {\n", signed, ring.system.public)
	for _, account := range []key{ring.system, ring.hawser} {
		token, err := os.ReadFile(f.accountPath(account.public))
		if err != nil {
			return fmt.Errorf("read the claims of an account: %w", err)
		}
		fmt.Fprintf(&out, "  %s: %s\n", account.public, token)
	}
	out.WriteString("}\n")
	if err := writeFile(filepath.Join(string(f), authFile), out.Bytes()); err != nil {
		return fmt.Errorf("write what NATS servers trust: %w", err)
	}
	return nil
}

// newRoleKeys makes a signing key of Hawser's account for each role.
func newRoleKeys(names []string) (roles map[string]key, seeds map[string]string, err error) {
	roles, seeds = map[string]key{}, map[string]string{}
	for _, name := range names {
		made, seed, err := newKey(nkeys.PrefixByteAccount)
		if err != nil {
			return nil, nil, err
		}
		roles[name], seeds[name] = made, seed.Reveal()
	}
	return roles, seeds, nil
}
