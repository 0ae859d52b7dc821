package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/secret"
)

// dataFolder is the data folder of `hawser up`. Its files have mode 0600:
//
//	keyset.json   the keys that records are sealed with
//	admin.token   the token of the management API, alone on one line
//	nats.creds    the operator's NATS credentials (made by the embedded server)
type dataFolder string

func (d dataFolder) path(name string) string { return filepath.Join(string(d), name) }

// keyset reads the keyset, or makes one if the folder has none and no records. New keys
// could not open existing records.
func (d dataFolder) keyset(prefix string) (keys *crypto.Keyring, isNew bool, err error) {
	path := d.path("keyset.json")
	keys, err = crypto.LoadKeyset(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, false, err
	}
	if d.hasRecords(prefix) {
		return nil, false, fmt.Errorf("%s is gone, and the folder holds records that nothing else opens: put it back from a backup, or begin anew with another --data folder", path)
	}
	text, err := crypto.NewKeyset()
	if err != nil {
		return nil, false, err
	}
	if err := crypto.SaveKeyset(path, text, nil); err != nil {
		return nil, false, err
	}
	keys, err = crypto.ParseKeyset(text)
	return keys, true, err
}

// hasRecords reports whether the store has the bucket with the check value of a keyset.
func (d dataFolder) hasRecords(prefix string) bool {
	found, err := filepath.Glob(d.path(filepath.Join("jetstream", "*", "streams", "KV_"+prefix+"-keys")))
	return err == nil && len(found) > 0
}

// adminToken reads the token, or makes one if the folder has none.
func (d dataFolder) adminToken() (secret.Text, error) {
	path := d.path("admin.token")
	data, err := os.ReadFile(path)
	if err == nil {
		token := secret.New(strings.TrimSpace(string(data)))
		if token.IsZero() {
			return token, fmt.Errorf("%s is empty: delete it, and the next start makes a new token", path)
		}
		return token, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return secret.Text{}, fmt.Errorf("read the admin token: %w", err)
	}
	token := records.NewAPIToken()
	return token, writeSecretFile(path, token)
}

// writeSecretFile writes a file with mode 0600. It renames it into place, so that no
// part of it is ever visible.
func writeSecretFile(path string, content secret.Text) error {
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() { _ = os.Remove(temp.Name()) }()
	_, err = temp.WriteString(content.Reveal() + "\n")
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(temp.Name(), path)
}
