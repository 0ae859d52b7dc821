package app

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/embedded"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

// fails runs a program that has to fail at once, with one sentence that has every want.
func fails(t *testing.T, role string, args []string, want ...string) {
	t.Helper()
	out := &testenv.Log{}
	begin := time.Now()
	status := Run(t.Context(), role, args, out)
	if took := time.Since(begin); status == 0 || took > 15*time.Second {
		t.Errorf("%v: status %d after %v", args, status, took)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, part := range want {
		if !strings.Contains(lines[len(lines)-1], part) {
			t.Errorf("%v: the last line is %q, want %q in it", args, lines[len(lines)-1], part)
		}
	}
}

func TestAMistakeInTheCommandLineSaysWhatToDo(t *testing.T) {
	t.Parallel()
	keyset := newKeysetFile(t)
	fails(t, "hawser", []string{"keys", "create", keyset}, keyset+" exists", "another name")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	testenv.Must(t, err)
	defer func() { _ = taken.Close() }()
	for _, url := range []string{"http://" + taken.Addr().String(), "https://nats.example", "nats://127.0.0.1:1,http://127.0.0.1:2"} {
		fails(t, "executor", []string{"--nats-url", url, "--keyset", keyset, "--http", "127.0.0.1:0"}, "--nats-url", "nats://")
		fails(t, "hawser", []string{"token", "create", "x", "--nats-url", url}, "--nats-url", "nats://")
	}
	fails(t, "hawser", []string{"up", "--data", filepath.Join(t.TempDir(), "d"), "--http", "127.0.0.1:0", "--nats", taken.Addr().String()},
		"--nats "+taken.Addr().String(), "in use")
}

func TestARoleWithATenantsCredentialsIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, nil)
	creds, err := embedded.TenantCreds(filepath.Dir(n.Env.Server().CredsPath()), events.Token("organization"), events.Token("a"), "hawser")
	testenv.Must(t, err)
	file := filepath.Join(t.TempDir(), "tenant.creds")
	testenv.Must(t, os.WriteFile(file, []byte(creds.Reveal()), 0o600))
	keyset := newKeysetFile(t)
	for _, role := range []string{"ingress", "executor", "refresher"} {
		fails(t, role, []string{"--nats-url", n.Env.URL(), "--nats-creds", file, "--keyset", keyset, "--http", "127.0.0.1:0"}, "credentials", "nats.creds")
	}
	fails(t, "hawser", []string{"token", "create", "x", "--nats-url", n.Env.URL(), "--nats-creds", file}, "credentials", "nats.creds")
}

func TestTheReadyLineSaysWhereThingsAre(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "d")
	out, stop := startRole(t, "hawser", "up", "--data", data, "--http", "127.0.0.1:0", "--nats", "off")
	if text := out.String(); !strings.Contains(text, "/console/") || !strings.Contains(text, filepath.Join(data, "admin.token")) {
		t.Errorf("got %s", text)
	}
	stop()
}

func TestAnExecutorThatServesNothingSaysSo(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, nil)
	keyset := newKeysetFile(t)
	out, stop := startRole(t, "executor", "--nats-url", n.Env.URL(), "--nats-creds", n.Env.Server().CredsPath(), "--keyset", keyset, "--http", "127.0.0.1:0", "--prefix", "other")
	if text := out.String(); !strings.Contains(text, "serves no connector") || !strings.Contains(text, `"level":"warn"`) {
		t.Errorf("got %s", text)
	}
	stop()
}
