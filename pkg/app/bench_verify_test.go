package app

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// unsignedConnector is the bench connector without signatures: what is left of the
// path of a webhook when nothing is verified.
func unsignedConnector() connectors.Connector {
	c := benchConnector()
	hook := *c.Webhook
	hook.Verify = []webhooks.Verification{{Scheme: webhooks.SchemeUnsigned}}
	c.Key, c.Webhook = "unsigned", &hook
	return c
}

// BenchmarkVerification: what verifying a body of 1 KB takes from the path of a
// webhook. The floor is the same path for a connector that signs nothing.
func BenchmarkVerification(b *testing.B) {
	s := newSystem(b, "10m", roles{ingress: true}, unsignedConnector())
	view, err := s.service.Connect(b.Context(), records.NewRef(s.tenant, "unsigned", ""), connection.ConnectInput{Config: json.RawMessage(`{"secret":"` + benchSecret + `"}`)})
	if err != nil {
		b.Fatal(err)
	}
	const window = 2 * time.Second
	f, h, ratio := inTurns(7,
		func() float64 { return perSecond(b, 64, window, post(view.WebhookURL)) },
		func() float64 { return perSecond(b, 64, window, post(s.webhookURL)) })
	b.ReportMetric(ratio, "ratio")
	report(row{"webhook, verified against unsigned, no fsync", rate(f), rate(h), fmt.Sprintf("%.2f", ratio), "≥ 0.90"})
}
