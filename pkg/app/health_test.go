package app

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

// readyz returns the status and the body of /readyz, 0 without an answer.
func readyz(t *testing.T, address string) (int, readiness) {
	t.Helper()
	resp, err := http.Get(address + "/readyz")
	if err != nil {
		return 0, readiness{}
	}
	defer func() { _ = resp.Body.Close() }()
	var body readiness
	testenv.Must(t, json.NewDecoder(resp.Body).Decode(&body))
	return resp.StatusCode, body
}

// A disk that fails for a moment leaves streams that refuse every write until the server
// is restarted.
func TestUpSaysThatItsStoreFailsAndRestartsIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	address, _ := up(t, dir)
	if status, body := readyz(t, address); status != http.StatusOK || body.Store != "ok" {
		t.Fatalf("before the fault: %d %+v", status, body)
	}
	// New blocks of the stream of probes cannot be created.
	found, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "HAWSER_PROBE", "msgs"))
	if err != nil || len(found) != 1 {
		t.Fatalf("folders of the stream: %v, %v", found, err)
	}
	blocks, err := filepath.Glob(filepath.Join(found[0], "*.blk"))
	testenv.Must(t, err)
	for _, block := range blocks {
		testenv.Must(t, os.Truncate(block, 0))
	}
	testenv.Must(t, os.Rename(found[0], found[0]+".away"))
	testenv.Must(t, os.WriteFile(found[0], nil, 0o600))
	testenv.Eventually(t, "the process is unready and says why", func() bool {
		status, body := readyz(t, address)
		return status == http.StatusServiceUnavailable && body.Status == "unready"
	})
	testenv.Must(t, os.Remove(found[0]))
	testenv.Must(t, os.Rename(found[0]+".away", found[0]))
	testenv.EventuallyWithin(t, 2*testenv.MaxWait, "the process is ready again", func() bool {
		status, body := readyz(t, address)
		return status == http.StatusOK && body.Store == "ok"
	})
}

// A server in the minority of a divided cluster answers no JetStream request, like one
// without JetStream.
func TestAServerThatAnswersNoJetStreamRequestIsLeft(t *testing.T) {
	t.Parallel()
	silent, err := server.NewServer(&server.Options{Host: testenv.Loopback(t), Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	testenv.Must(t, err)
	silent.Start()
	t.Cleanup(func() { silent.Shutdown(); silent.WaitForShutdown() })
	if !silent.ReadyForConnections(testenv.MaxWait) {
		t.Fatal("the server is not ready")
	}
	env := testenv.Start(t, nil)
	nc, err := nats.Connect(silent.ClientURL()+","+env.URL(), append(events.ConnectOptions("test"), nats.DontRandomize(), nats.UserCredentials(env.Server().CredsPath()))...)
	testenv.Must(t, err)
	t.Cleanup(nc.Close)
	testenv.Eventually(t, "connected", nc.IsConnected)
	if nc.ConnectedUrl() != silent.ClientURL() {
		t.Fatalf("connected to %s", nc.ConnectedUrl())
	}
	q, err := queue.New(nc, nil)
	testenv.Must(t, err)
	h := &health{queue: q, log: zerolog.Nop(), lastGood: time.Now(), cause: events.ErrUnavailable}
	h.leaveSilentServer(t.Context())
	if nc.ConnectedUrl() != silent.ClientURL() {
		t.Error("left at the first failure")
	}
	h.lastGood = time.Now().Add(-2 * leaveAfter)
	h.leaveSilentServer(t.Context())
	testenv.Eventually(t, "connected to the other server", func() bool { return nc.IsConnected() && nc.ConnectedUrl() == env.URL() })
}
