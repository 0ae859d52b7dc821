package app

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/crypto"
)

// newKeysetFile makes a keyset.
func newKeysetFile(t *testing.T) string {
	t.Helper()
	text, err := crypto.NewKeyset()
	testenv.Must(t, err)
	path := filepath.Join(t.TempDir(), "keyset.json")
	testenv.Must(t, crypto.SaveKeyset(path, text, nil))
	return path
}

// startRole runs a role until stop, and returns when it is ready.
func startRole(t *testing.T, role string, args ...string) (out *testenv.Log, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	out = &testenv.Log{}
	ended := make(chan int, 1)
	go func() { ended <- Run(ctx, role, args, out) }()
	status := -1
	stop = func() int {
		cancel()
		if status < 0 {
			status = <-ended
		}
		return status
	}
	t.Cleanup(func() { stop() })
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(out)
		}
	})
	testenv.EventuallyWithin(t, 2*testenv.MaxWait, "the role is ready", func() bool {
		select {
		case status = <-ended:
			t.Fatalf("ended with status %d: %s", status, out)
		default:
		}
		return strings.Contains(out.String(), "hawser is ready")
	})
	return out, stop
}

// The requests of a start can be lost when a NATS server has just died.
func TestARoleStartsWhileAServerOfTheClusterIsDead(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("an election takes seconds")
	}
	cluster := testenv.StartCluster(t)
	keyset := newKeysetFile(t)
	_, stop := startRole(t, "executor", "--nats-url", cluster.URL(0), "--keyset", keyset, "--http", "127.0.0.1:0")
	if status := stop(); status != 0 {
		t.Fatalf("status %d", status)
	}
	leader := cluster.Leader()
	cluster.Stop(leader)
	_, stop = startRole(t, "executor", "--nats-url", cluster.URL((leader+1)%3), "--keyset", keyset, "--http", "127.0.0.1:0")
	if status := stop(); status != 0 {
		t.Errorf("status %d", status)
	}
}
