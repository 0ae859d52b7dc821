package embedded

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/nats-io/nkeys"

	"github.com/hawser-io/hawser/pkg/secret"
)

// keys are the three key pairs of a data folder.
type keys struct {
	operator key            // signs accounts
	system   key            // the system account; no credentials are issued for it
	hawser   key            // signs the users of Hawser's account
	roles    map[string]key // sign the users of a role, see [InitSystem]
}

type key struct {
	pair   nkeys.KeyPair
	public string
}

// keysFile is nats/keys.json. It is one file, so that a first start writes all
// keys or none.
type keysFile struct {
	Version  int    `json:"version"` // 1
	Operator string `json:"operator"`
	System   string `json:"system_account"`
	Hawser   string `json:"hawser_account"`
	// Roles are the seeds of signing keys of Hawser's account; only [InitSystem] makes them.
	Roles map[string]string `json:"roles,omitempty"`
}

const keysVersion = 1

// openKeys reads the folder's keys, or makes them if the folder is new. Call it
// with the folder locked.
func (f folder) openKeys() (*keys, error) {
	ring, err := f.readKeys()
	switch {
	case err == nil:
		return ring, f.checkStoreOwner(ring)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if owners, err := f.storeOwners(); err != nil {
		return nil, err
	} else if len(owners) > 0 {
		return nil, fmt.Errorf("%s is missing, but %s holds streams, which only the account in that file can open: restore the file from a backup, or move %s away to begin with an empty store",
			f.keysPath(), f.storePath(), f.storePath())
	}
	return f.makeKeys()
}

// readKeys reads nats/keys.json. A missing file is fs.ErrNotExist. Errors do not
// contain the file's content.
func (f folder) readKeys() (*keys, error) {
	path := f.keysPath()
	content, err := readPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("read the NATS keys: %w", err)
	}
	ring, err := parseKeys(content)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be used: %w; nothing was changed: restore the file from a backup, or move the data folder away to begin anew", path, err)
	}
	return ring, nil
}

func parseKeys(content []byte) (*keys, error) {
	var file keysFile
	dec := json.NewDecoder(bytes.NewReader(content))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		// The decoder's own error may quote what it read.
		return nil, errors.New("it is not the JSON document that hawser wrote")
	}
	if file.Version != keysVersion {
		return nil, fmt.Errorf("it has format version %d, this program knows %d", file.Version, keysVersion)
	}
	ring := &keys{roles: map[string]key{}}
	for _, k := range []struct {
		name, seed string
		kind       nkeys.PrefixByte
		to         *key
	}{
		{"operator", file.Operator, nkeys.PrefixByteOperator, &ring.operator},
		{"system_account", file.System, nkeys.PrefixByteAccount, &ring.system},
		{"hawser_account", file.Hawser, nkeys.PrefixByteAccount, &ring.hawser},
	} {
		got, err := parseKey(k.kind, k.seed)
		if err != nil {
			return nil, fmt.Errorf("%q %w", k.name, err)
		}
		*k.to = got
	}
	for name, seed := range file.Roles {
		got, err := parseKey(nkeys.PrefixByteAccount, seed)
		if err != nil {
			return nil, fmt.Errorf("role %q %w", name, err)
		}
		ring.roles[name] = got
	}
	if ring.system.public == ring.hawser.public {
		return nil, errors.New(`"system_account" and "hawser_account" are the same key`)
	}
	return ring, nil
}

func parseKey(kind nkeys.PrefixByte, seed string) (key, error) {
	got, _, err := nkeys.DecodeSeed([]byte(seed))
	if err != nil || got != kind {
		return key{}, fmt.Errorf("is not the seed of an nkey of kind %s", kind)
	}
	pair, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		return key{}, errors.New("is not a seed")
	}
	public, err := pair.PublicKey()
	if err != nil {
		return key{}, errors.New("has no public key")
	}
	return key{pair: pair, public: public}, nil
}

func (f folder) makeKeys(roles ...string) (*keys, error) {
	ring, file := &keys{}, keysFile{Version: keysVersion}
	var err error
	if ring.roles, file.Roles, err = newRoleKeys(roles); err != nil {
		return nil, err
	}
	for _, k := range []struct {
		kind nkeys.PrefixByte
		to   *key
		seed *string
	}{
		{nkeys.PrefixByteOperator, &ring.operator, &file.Operator},
		{nkeys.PrefixByteAccount, &ring.system, &file.System},
		{nkeys.PrefixByteAccount, &ring.hawser, &file.Hawser},
	} {
		made, seed, err := newKey(k.kind)
		if err != nil {
			return nil, err
		}
		*k.to, *k.seed = made, seed.Reveal()
	}
	content, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the NATS keys: %w", err)
	}
	if err := writeFile(f.keysPath(), append(content, '\n')); err != nil {
		return nil, fmt.Errorf("write the NATS keys: %w", err)
	}
	return ring, nil
}

func newKey(kind nkeys.PrefixByte) (key, secret.Text, error) {
	pair, err := nkeys.CreatePair(kind)
	if err != nil {
		return key{}, secret.Text{}, fmt.Errorf("make an nkey: %w", err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		return key{}, secret.Text{}, fmt.Errorf("make an nkey: %w", err)
	}
	seed, err := pair.Seed()
	if err != nil {
		return key{}, secret.Text{}, fmt.Errorf("make an nkey: %w", err)
	}
	return key{pair: pair, public: public}, secret.New(string(seed)), nil
}

// checkStoreOwner refuses keys under which the store's streams would be
// invisible: the server would start, find none, and let new ones be made.
func (f folder) checkStoreOwner(ring *keys) error {
	owners, err := f.storeOwners()
	if err != nil || len(owners) == 0 {
		return err
	}
	for _, owner := range owners {
		if owner == ring.hawser.public {
			return nil
		}
	}
	return fmt.Errorf("%s holds the streams of account %s, but %s is for account %s: restore the right file from a backup, or move %s away to begin with an empty store",
		f.storePath(), owners[0], f.keysPath(), ring.hawser.public, f.storePath())
}

// storeOwners lists the accounts that have streams in the store: the server
// keeps a folder per account, named by its public key.
func (f folder) storeOwners() ([]string, error) {
	entries, err := os.ReadDir(f.storePath())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the store: %w", err)
	}
	var owners []string
	for _, e := range entries {
		if e.IsDir() && nkeys.IsValidPublicAccountKey(e.Name()) {
			owners = append(owners, e.Name())
		}
	}
	return owners, nil
}
