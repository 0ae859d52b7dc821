package crypto_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/secret"
)

func TestLoadKeysetRefusesFilesOpenToOthers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		mode fs.FileMode
		ok   bool
	}{
		{0o600, true}, {0o400, true}, {0o700, true},
		{0o640, false}, {0o620, false}, {0o610, false}, {0o604, false}, {0o602, false}, {0o644, false}, {0o666, false}, {0o440, false},
	}
	for _, test := range tests {
		path := filepath.Join(t.TempDir(), "keyset.json")
		if err := crypto.SaveKeyset(path, must(t)(crypto.NewKeyset()), nil); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, test.mode); err != nil {
			t.Fatal(err)
		}
		_, err := crypto.LoadKeyset(path)
		if test.ok && err != nil {
			t.Errorf("LoadKeyset with mode %04o: %v, want no error", test.mode, err)
		}
		if !test.ok && (!errors.Is(err, crypto.ErrKeyset) || !strings.Contains(err.Error(), "chmod 600 "+path)) {
			t.Errorf("LoadKeyset with mode %04o: %v, want ErrKeyset with chmod 600 %s", test.mode, err, path)
		}
	}
}

func TestLoadKeysetNamesTheFileThatFails(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if _, err := crypto.LoadKeyset(filepath.Join(folder, "none")); !errors.Is(err, crypto.ErrNoKeyset) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("LoadKeyset of no file: %v, want ErrNoKeyset and fs.ErrNotExist", err)
	}
	if _, err := crypto.LoadKeyset(folder); !errors.Is(err, crypto.ErrKeyset) || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("LoadKeyset of a folder: %v, want ErrKeyset that names it a folder", err)
	}
	tests := []struct {
		name, text string
		want       error
	}{
		{"empty", "", crypto.ErrNoKeyset},
		{"junk", "hunter2", crypto.ErrKeyset},
		{"large", strings.Repeat(" ", 1<<20+1), crypto.ErrKeyset},
	}
	for _, test := range tests {
		path := filepath.Join(folder, test.name)
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := crypto.LoadKeyset(path); !errors.Is(err, test.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("LoadKeyset of a file that is %s: %v, want %v that names the file", test.name, err, test.want)
		}
	}
}

func TestSaveKeysetWritesForTheOwnerAndReplacesOnlyOnRequest(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "keyset.json")
	first, second := must(t)(crypto.NewKeyset()), must(t)(crypto.NewKeyset())
	if err := crypto.SaveKeyset(path, first, nil); err != nil {
		t.Fatal(err)
	}
	if err := crypto.SaveKeyset(path, second, nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("SaveKeyset over a file = %v, want fs.ErrExist", err)
	}
	assertPrimary(t, path, first)
	if err := crypto.SaveKeyset(path, second, &crypto.SaveOptions{Replace: true}); err != nil {
		t.Fatal(err)
	}
	assertPrimary(t, path, second)
	if err := crypto.SaveKeyset(path, secret.New("junk"), &crypto.SaveOptions{Replace: true}); !errors.Is(err, crypto.ErrKeyset) {
		t.Errorf("SaveKeyset of junk = %v, want ErrKeyset", err)
	}
	assertPrimary(t, path, second)
	if err := crypto.SaveKeyset(filepath.Join(folder, "none", "k"), first, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("SaveKeyset into no folder = %v, want fs.ErrNotExist", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %04o, want 0600", info.Mode().Perm())
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("%d files in the folder, want keyset.json only: %v", len(entries), entries)
	}
}

func assertPrimary(t *testing.T, path string, want secret.Text) {
	t.Helper()
	k, err := crypto.LoadKeyset(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := k.PrimaryID(), mustParse(t, want).PrimaryID(); got != want {
		t.Errorf("%s has primary %d, want %d", path, got, want)
	}
}

func TestLoadReadsFilesAndEnvironment(t *testing.T) {
	t.Parallel()
	text := must(t)(crypto.NewKeyset())
	path := filepath.Join(t.TempDir(), "keyset.json")
	if err := crypto.SaveKeyset(path, text, nil); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string {
		return map[string]string{"HAWSER_KEYSET": text.Reveal(), "JUNK": "hunter2"}[name]
	}
	tests := []struct {
		source string
		want   error
		part   string // of the error
	}{
		{path, nil, ""},
		{"env:HAWSER_KEYSET", nil, ""},
		{"env:NONE", crypto.ErrNoKeyset, "NONE"},
		{"env:JUNK", crypto.ErrKeyset, "JUNK"},
		{"env:", crypto.ErrNoKeyset, ""},
		{"", crypto.ErrNoKeyset, "env:NAME"},
	}
	for _, test := range tests {
		k, err := crypto.Load(test.source, getenv)
		if !errors.Is(err, test.want) {
			t.Errorf("Load(%q): %v, want %v", test.source, err, test.want)
		} else if err == nil && k.PrimaryID() != mustParse(t, text).PrimaryID() {
			t.Errorf("Load(%q) has another primary", test.source)
		} else if err != nil && (!strings.Contains(err.Error(), test.part) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("Load(%q): %q, want it to contain %q and nothing of the value", test.source, err, test.part)
		}
	}
	if _, err := crypto.Load("env:HAWSER_TEST_SURELY_UNSET", nil); !errors.Is(err, crypto.ErrNoKeyset) {
		t.Errorf("Load with nil getenv: %v, want ErrNoKeyset from the real environment", err)
	}
}
