package app

import (
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/demo"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/crypto"
)

// A definition in the store must not open loopback in a process that was not asked to.
func TestDemoConnectorsAreServedOnRequestOnly(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, nil)
	keyset := newKeysetFile(t)
	testenv.Must(t, crypto.SaveKeyset(keyset, n.Keyset, &crypto.SaveOptions{Replace: true}))
	args := []string{"--nats-url", n.Env.URL(), "--nats-creds", n.Env.Server().CredsPath(), "--keyset", keyset, "--http", "127.0.0.1:0"}
	var out testenv.Log
	if status := Run(t.Context(), "executor", append(args, "--demo"), &out); status == 0 || !strings.Contains(out.String(), "no demo connectors") {
		t.Errorf("without a demo: status %d, %s", status, &out)
	}
	all := demo.Connectors("http://127.0.0.1:1")
	for i := range all {
		testenv.Must(t, n.Registry.Register(all[i]))
	}
	testenv.Must(t, n.Definitions.Publish(t.Context(), n.Registry.All()))
	for _, asked := range []bool{false, true} {
		own := args
		if asked {
			own = append(own, "--demo")
		}
		_, stop := startRole(t, "executor", own...)
		_, err := n.Bus.JetStream().Consumer(t.Context(), "HAWSER_ACTIONS", "action-"+demo.KeyConnector)
		if served := err == nil; served != asked {
			t.Errorf("--demo %v: served %v", asked, served)
		}
		stop()
	}
}
