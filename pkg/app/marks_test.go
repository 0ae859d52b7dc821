package app

import (
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

// Acknowledged messages that a store has lost must not go unnoticed.
func TestAStartSaysWhatStreamsHaveLost(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	args := []string{"--nats-url", env.URL(), "--nats-creds", env.Server().CredsPath(), "--keyset", newKeysetFile(t), "--http", "127.0.0.1:0"}
	run := func() string {
		out, stop := startRole(t, "refresher", args...)
		stop()
		return out.String()
	}
	run()
	js := testenv.QueueOn(t, env.Conn(t)).Bus
	for _, subject := range []string{"hawser.webhook.user.a.x.y.1", "hawser.webhook.user.a.x.y.2"} {
		_, err := js.Publish(t.Context(), subject, &events.Message{}, nil)
		testenv.Must(t, err)
	}
	if out := run(); strings.Contains(out, "missing") {
		t.Errorf("without a loss: %s", out)
	}
	testenv.Must(t, js.JetStream().DeleteStream(t.Context(), "HAWSER_WEBHOOKS"))
	if out := run(); !strings.Contains(out, "stream HAWSER_WEBHOOKS ended at sequence 2 and ends at 0 now") {
		t.Errorf("after a loss: %s", out)
	}
	if out := run(); strings.Contains(out, "missing") {
		t.Errorf("said again: %s", out)
	}
}
