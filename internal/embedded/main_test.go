package embedded_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/hawser-io/hawser/internal/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick is how most tests run the server: nobody pulls the plug on a test.
func quick(dir string) embedded.Options {
	return embedded.Options{DataDir: dir, Listen: "127.0.0.1:0", Sync: "5s"}
}

func start(t *testing.T, opts embedded.Options) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(t.Context(), opts)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	t.Cleanup(func() { shutdown(t, s) })
	return s
}

func shutdown(t *testing.T, s *embedded.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// started starts a server on a new folder.
func started(t *testing.T) (s *embedded.Server, dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	return start(t, quick(dir)), dir
}

// patient is for machines that are busy with other tests.
var patient = nats.Timeout(30 * time.Second)

func operator(t *testing.T, s *embedded.Server) *nats.Conn {
	t.Helper()
	nc, err := s.Connect(patient)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func jetStream(t *testing.T, nc *nats.Conn) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// issue makes a tenant's credentials.
func issue(t *testing.T, dir, scope, identity string) nats.Option {
	t.Helper()
	creds, err := embedded.TenantCreds(dir, scope, identity, "")
	if err != nil {
		t.Fatalf("TenantCreds(%s, %s): %v", scope, identity, err)
	}
	return nats.UserCredentialBytes([]byte(creds.Reveal()))
}

// dial connects in process with credentials.
func dial(t *testing.T, s *embedded.Server, creds ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("", append(creds, nats.InProcessServer(s), patient)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// tree is every file below dir with its content, but for the lock and what a
// running server wrote.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "hawser.lock" {
			return err
		}
		content, err := os.ReadFile(path)
		files[path] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}
