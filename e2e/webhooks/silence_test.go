package webhooks_test

import (
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestABusyConnectionThatHearsNothingIsCalledSilentOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{executor: executor.Options{SilentAfter: 2 * time.Second, BusyAfter: 1}}, probe())
	c := s.connect("org_1", secretConfig)
	silent := func() int { return len(s.messages(events.Lifecycle, "hawser.event.*.*.*.webhook.silent")) }
	s.send(0, "POST", c.WebhookURL, `{}`, signed(signingSecret, `{}`, "evt_1", time.Now()))
	s.eventually("webhook.silent", func() bool { return silent() > 0 })
	if got := silent(); got != 1 {
		t.Errorf("it was called silent %d times, want once", got)
	}
}
