package webhooks

import (
	"net/http"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// meta (Facebook, Instagram, WhatsApp) signs with the app's secret, and asks
// for the verify token that was typed in beside the address.
func meta() connectors.Webhook {
	return connectors.Webhook{
		Source:     "https://developers.facebook.com/docs/graph-api/webhooks/getting-started",
		Answer:     only200("https://developers.facebook.com/docs/graph-api/webhooks/getting-started"),
		AppSecret:  connectors.AppClientSecret,
		TokenField: "verifyToken",
		Verify:     one(bodyHMAC("X-Hub-Signature-256", "sha256=", connectors.SHA256, connectors.EncodingHex)),
		Delivery: connectors.Extraction{
			Type: "{body.object}[.{body.entry.0.changes.0.field}]", Account: "{body.entry.*.id}",
		},
		Handshakes: []connectors.Handshake{{
			Name:    "subscribe",
			Methods: []string{http.MethodGet},
			When:    []connectors.Match{{From: "query.hub.mode", Equals: "subscribe"}},
			Token:   connectors.Source{From: "query.hub.verify_token"},
			Respond: connectors.Response{Text: "{query.hub.challenge}"},
		}},
	}
}
