package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/secret"
)

// dataFolder is where `hawser up` keeps everything. Its own files are 0600:
//
//	keyset.json   the keys that records are sealed with
//	admin.token   the token of the management API, alone on one line
//	nats.creds    the operator's NATS credentials (made by the embedded server)
type dataFolder string

func (d dataFolder) path(name string) string { return filepath.Join(string(d), name) }

// keyset reads the keyset, and makes it if there is none and records is false: a
// folder with records and without their keys must not get new keys.
func (d dataFolder) keyset() (keys *crypto.Keyring, isNew bool, err error) {
	path := d.path("keyset.json")
	keys, err = crypto.LoadKeyset(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, false, err
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

// adminToken reads the token, and makes it if there is none.
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
	token := connection.NewToken()
	return token, writeSecretFile(path, token)
}

// writeSecretFile writes a new file, 0600, whole or not at all.
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
