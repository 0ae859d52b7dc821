package app

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/crypto"
)

func TestErrorsShowNoPasswordOfANATSAddress(t *testing.T) {
	t.Parallel()
	keyset := newKeysetFile(t)
	for _, address := range []string{
		"nats://user:hunter2@127.0.0.1:1", "user:hunter2@127.0.0.1:1", "nats://hunter2@127.0.0.1:1", "nats://user:hunter2/x@127.0.0.1:1",
		"nats://user:hun ter2@127.0.0.1:1", "nats://user:%zzhunter2@127.0.0.1:1", "nats://127.0.0.1:1,nats://u:hunter2@127.0.0.1:1",
	} {
		for _, args := range [][]string{{"token", "create", "x", "--nats-url", address}, {"--nats-url", address, "--keyset", keyset}} {
			role := "executor"
			if args[0] == "token" {
				role = "hawser"
			}
			out := &testenv.Log{}
			if status := Run(t.Context(), role, args, out); status == 0 || strings.Contains(out.String(), "hunter2") || strings.Contains(out.String(), "ter2") {
				t.Errorf("%v: status %d, output %s", args, status, out)
			}
		}
	}
}

// HAWSER_KEYSET is easily taken for the keyset itself.
func TestAKeysetInPlaceOfItsFileIsAcceptedAndNeverQuoted(t *testing.T) {
	t.Parallel()
	text, err := crypto.NewKeyset()
	testenv.Must(t, err)
	if _, err := crypto.Load(text.Reveal(), nil); err != nil {
		t.Errorf("the keyset itself: %v", err)
	}
	for _, bad := range []string{text.Reveal()[:200], "x\n" + text.Reveal(), strings.Repeat("a", 2000)} {
		_, err := crypto.Load(bad, nil)
		if err == nil || strings.Contains(err.Error(), bad[20:60]) {
			t.Errorf("%.20s…: got %v", bad, err)
		}
	}
}

// An empty file would replace the secret of an app that works.
func TestAppSetRefusesAnEmptySecret(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secret")
	testenv.Must(t, os.WriteFile(file, []byte(" \n\n"), 0o600))
	var out bytes.Buffer
	if status := Run(t.Context(), "hawser", []string{"app", "set", "x", "--client-id", "i", "--client-secret-file", file}, &out); status == 0 || !strings.Contains(out.String(), "no client secret in "+file) {
		t.Errorf("status %d: %s", status, &out)
	}
}
