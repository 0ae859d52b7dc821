package app

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/embedded"
	"github.com/hawser-io/hawser/pkg/events"
)

// What the streams cannot be named after is refused before there is a data folder.
func TestAPrefixIsRefusedBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"Stage", "a.b", "a b", "*", "$JS", "ü", strings.Repeat("a", 33)} {
		dir := filepath.Join(t.TempDir(), "data")
		var out strings.Builder
		status := Run(t.Context(), "hawser", []string{"up", "--prefix", prefix, "--data", dir, "--http", "127.0.0.1:0", "--nats", "off"}, &out)
		if status == 0 || !strings.Contains(out.String(), "subject prefix") {
			t.Errorf("%q: exit %d, %s", prefix, status, out.String())
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%q: the data folder was made", prefix)
		}
	}
}

func TestTheEmbeddedServerTakesThePrefixesThatTheStreamsTake(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, prefix := range []string{"hawser", "stage-2", "a_b", "0", strings.Repeat("a", 32), strings.Repeat("a", 33), "Stage", "a.b", "-", "ü", "a>"} {
		_, names := events.NewSubjects(prefix)
		_, err := embedded.Start(ended, embedded.Options{DataDir: t.TempDir(), Listen: "off", Prefix: prefix})
		refused := err != nil && strings.Contains(err.Error(), "subject prefix")
		if refused != (names != nil) {
			t.Errorf("%q: the streams say %v, the server says %v", prefix, names, err)
		}
	}
}
