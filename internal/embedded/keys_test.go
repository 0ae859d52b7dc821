package embedded_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/internal/embedded"
)

// seeds finds the seeds of operators, accounts and users.
var seeds = regexp.MustCompile(`S[OAU][A-Z2-7]{56}`)

// used is a folder that has been used, with a stream in its store.
func used(t *testing.T) (dir string) {
	t.Helper()
	s, dir := started(t)
	nc := operator(t, s)
	if _, err := jetStream(t, nc).CreateStream(t.Context(), jetstream.StreamConfig{Name: "KEEP"}); err != nil {
		t.Fatal(err)
	}
	nc.Close()
	shutdown(t, s)
	return dir
}

func TestAFolderThatCannotBeUnderstoodIsLeftAsItIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  string // in the error
	}{
		{"keys cut short", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "nats/keys.json"), read(t, dir, "nats/keys.json")[:100])
		}, "restore the file from a backup"},
		{"keys empty", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "nats/keys.json"), nil)
		}, "restore the file from a backup"},
		{"one letter of a seed wrong", func(t *testing.T, dir string) {
			b := read(t, dir, "nats/keys.json")
			at := seeds.FindIndex(b)
			if b[at[0]+20] == 'A' {
				b[at[0]+20] = 'B'
			} else {
				b[at[0]+20] = 'A'
			}
			write(t, filepath.Join(dir, "nats/keys.json"), b)
		}, `"operator" is not the seed`},
		{"seeds in one another's place", func(t *testing.T, dir string) {
			b := read(t, dir, "nats/keys.json")
			b = bytes.Replace(b, []byte(`"operator"`), []byte(`"x"`), 1)
			b = bytes.Replace(b, []byte(`"system_account"`), []byte(`"operator"`), 1)
			write(t, filepath.Join(dir, "nats/keys.json"), bytes.Replace(b, []byte(`"x"`), []byte(`"system_account"`), 1))
		}, `"operator" is not the seed`},
		{"a later format", func(t *testing.T, dir string) {
			b := read(t, dir, "nats/keys.json")
			write(t, filepath.Join(dir, "nats/keys.json"), bytes.Replace(b, []byte(`"version": 1`), []byte(`"version": 2`), 1))
		}, "format version 2"},
		{"keys readable by others", func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, "nats/keys.json"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "chmod 600"},
		{"another folder's keys", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "nats/keys.json"), read(t, used(t), "nats/keys.json"))
		}, "holds the streams of account A"},
		{"keys gone", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "nats/keys.json")); err != nil {
				t.Fatal(err)
			}
		}, "is missing, but"},
		{"credentials garbled", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "nats.creds"), []byte("garbled"))
		}, "move the file away"},
		{"credentials without their seed", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "nats.creds"), seeds.ReplaceAll(read(t, dir, "nats.creds"), nil))
		}, "move the file away"},
		{"another folder's credentials", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "nats.creds"), read(t, used(t), "nats.creds"))
		}, "was not issued by the keys"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := used(t)
			c.spoil(t, dir)
			before := tree(t, dir)
			_, err := embedded.Start(t.Context(), quick(dir))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("Start: %v, want an error with %q", err, c.want)
			}
			if seed := seeds.FindString(err.Error()); seed != "" {
				t.Errorf("the error shows a seed: %v", err)
			}
			after := tree(t, dir)
			for path := range after {
				// The two accounts' claims follow from the keys: written anew at each start.
				if filepath.Ext(path) == ".jwt" {
					before[path], after[path] = "", ""
				}
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("the folder changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestMissingCredentialsAreIssuedAnew(t *testing.T) {
	t.Parallel()
	dir := used(t)
	if err := os.Remove(filepath.Join(dir, "nats.creds")); err != nil {
		t.Fatal(err)
	}
	s := start(t, quick(dir))
	if _, err := os.Stat(s.CredsPath()); err != nil {
		t.Error(err)
	}
}

// Whatever stands in keys.json, reading it neither panics nor tells of it.
func FuzzKeysFile(f *testing.F) {
	dir := f.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "nats"), 0o700); err != nil {
		f.Fatal(err)
	}
	const seed = "SOAL6JE4TZYY3HNUB6JZZZLS2T2FTIPLTZ3IQCFFL4XSQVVXYAJ2Y7RJDY" // of nobody
	good, err := json.Marshal(map[string]any{"version": 1, "operator": seed, "system_account": seed, "hawser_account": seed})
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "{}", "null", `{"version":1}`, `{"version":"x` + seed + `"}`, string(good)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		write(t, filepath.Join(dir, "nats", "keys.json"), content)
		_, err := embedded.TenantCreds(dir, "org", "ava", "")
		if err != nil && strings.Contains(err.Error(), seed) {
			t.Errorf("the error shows the content: %v", err)
		}
	})
}
