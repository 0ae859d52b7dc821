package app

import (
	"encoding/json"
	"testing"

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
	s := newSystem(b, systemOptions{roles: roles{ingress: true}, connectors: []connectors.Connector{unsignedConnector()}})
	view, err := s.service.Connect(b.Context(), records.NewRef(s.tenant, "unsigned", ""), connection.ConnectInput{Config: json.RawMessage(`{"secret":"` + benchSecret + `"}`)})
	if err != nil {
		b.Fatal(err)
	}
	compare(b, "webhook, verified against unsigned, no fsync", "≥ 0.90",
		func() sample { return load(b, 64, turn, post(view.WebhookURL), nil) },
		func() sample { return load(b, 64, turn, post(s.webhookURL), nil) })
}
