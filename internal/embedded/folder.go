package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// folder is the data folder: the path of each file, and how files are written.
type folder string

func (f folder) lockPath() string     { return filepath.Join(string(f), "hawser.lock") }
func (f folder) credsPath() string    { return filepath.Join(string(f), "nats.creds") }
func (f folder) keysPath() string     { return filepath.Join(string(f), "nats", "keys.json") }
func (f folder) accountsPath() string { return filepath.Join(string(f), "nats", "accounts") }
func (f folder) storePath() string    { return filepath.Join(string(f), "jetstream") }

func (f folder) accountPath(public string) string {
	return filepath.Join(f.accountsPath(), public+".jwt")
}

// writeFile puts content at path so that a crash at any moment leaves the old
// content or the new, never a part, and the new is on the disk when it returns.
func writeFile(path string, content []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, filepath.Base(path)+".tmp-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	_, err = tmp.Write(content)
	if err == nil {
		err = tmp.Sync()
	}
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncFolder(dir)
}

// syncFolder makes a rename in dir survive a power loss.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readPrivate reads a file of secrets, and refuses one that others can read.
// A missing file is fs.ErrNotExist.
func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s holds secrets and can be read by others (mode %#o): run chmod 600 %s", path, mode, path)
	}
	return os.ReadFile(path)
}
