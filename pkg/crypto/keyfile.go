package crypto

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/hawser-io/hawser/pkg/secret"
)

// maxKeyset is the size limit of a keyset file in bytes: some thousand keys.
const maxKeyset = 1 << 20

// maxKeysetPath is the longest source that is taken for a path.
const maxKeysetPath = 512

// Load reads the keyset from a source: "env:NAME" is the environment variable
// NAME, a text that begins with "{" is the keyset itself, anything else the path of
// a file for [LoadKeyset]. A nil getenv is [os.Getenv]. An empty source or variable
// is [ErrNoKeyset]. No error quotes a source that may be a keyset.
func Load(source string, getenv func(name string) string) (*Keyring, error) {
	if source == "" {
		return nil, fmt.Errorf("%w: name a keyset file, or env:NAME for an environment variable", ErrNoKeyset)
	}
	if strings.HasPrefix(strings.TrimSpace(source), "{") {
		return ParseKeyset(secret.New(source))
	}
	name, fromEnv := strings.CutPrefix(source, "env:")
	if len(source) > maxKeysetPath || strings.ContainsAny(source, "\r\n") {
		return nil, fmt.Errorf("%w: the source is neither a path, nor env:NAME, nor a keyset in JSON", ErrKeyset)
	}
	if !fromEnv {
		return LoadKeyset(source)
	}
	if getenv == nil {
		getenv = os.Getenv
	}
	keyring, err := ParseKeyset(secret.New(getenv(name)))
	if err != nil {
		return nil, fmt.Errorf("environment variable %s: %w", name, err)
	}
	return keyring, nil
}

// LoadKeyset reads a keyset file. A file with permissions for group or others is
// refused with [ErrKeyset], except on Windows, which has no such permissions. A
// missing file is [ErrNoKeyset] and [fs.ErrNotExist].
func LoadKeyset(path string) (*Keyring, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrNoKeyset, err)
	} else if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyset, err)
	}
	defer file.Close()
	if err := checkMode(file); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxKeyset+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKeyset, err)
	}
	if len(text) > maxKeyset {
		return nil, fmt.Errorf("%w: file %s: the file is larger than %d bytes", ErrKeyset, path, maxKeyset)
	}
	keyring, err := ParseKeyset(secret.New(string(text)))
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", path, err)
	}
	return keyring, nil
}

// checkMode checks the open file, because its path may lead to another by now.
func checkMode(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrKeyset, err)
	}
	if info.IsDir() {
		return fmt.Errorf("%w: %s is a folder", ErrKeyset, file.Name())
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return fmt.Errorf("%w: file %s is open to others than its owner (mode %04o): run chmod 600 %s", ErrKeyset, file.Name(), mode, file.Name())
	}
	return nil
}

// SaveOptions changes what [SaveKeyset] does.
type SaveOptions struct {
	// Replace overwrites an existing file. The default refuses, so that of two
	// concurrent first starts on one folder only one keyset is used.
	Replace bool
}

// SaveKeyset writes a keyset file with mode 0600, atomically and durably. Text
// that [ParseKeyset] refuses is not written. If the file exists, the error is
// [fs.ErrExist].
func SaveKeyset(path string, text secret.Text, opts *SaveOptions) error {
	if _, err := parseKeys(text); err != nil {
		return fmt.Errorf("save keyset %s: %w", path, err)
	}
	temporary, err := writeTemporary(filepath.Dir(path), text)
	if err != nil {
		return fmt.Errorf("save keyset %s: %w", path, err)
	}
	defer os.Remove(temporary)
	if opts != nil && opts.Replace {
		err = os.Rename(temporary, path)
	} else {
		// Unlike a rename, a link fails if the name is taken.
		err = os.Link(temporary, path)
	}
	if err != nil {
		return fmt.Errorf("save keyset %s: %w", path, err)
	}
	if err := syncFolder(filepath.Dir(path)); err != nil {
		return fmt.Errorf("save keyset %s: %w", path, err)
	}
	return nil
}

// writeTemporary writes the text to a new file of mode 0600 and returns its path.
// If it fails it removes the file.
func writeTemporary(folder string, text secret.Text) (path string, err error) {
	file, err := os.CreateTemp(folder, ".keyset-*")
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, file.Close())
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	if _, err := io.WriteString(file, strings.TrimSpace(text.Reveal())+"\n"); err != nil {
		return "", err
	}
	return file.Name(), file.Sync()
}

// syncFolder makes a new name in the folder durable.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
