package catalog

import (
	"net/http"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// meta (Facebook, Instagram, WhatsApp) signs with the app's secret, and asks
// for the verify token that was typed in beside the address.
func meta() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:     "https://developers.facebook.com/docs/graph-api/webhooks/getting-started",
		Answer:     only200("https://developers.facebook.com/docs/graph-api/webhooks/getting-started"),
		AppSecret:  webhooks.AppClientSecret,
		TokenField: "verifyToken",
		Verify:     one(bodyHMAC("X-Hub-Signature-256", "sha256=", webhooks.SHA256, webhooks.EncodingHex)),
		Delivery: webhooks.Extraction{
			Type: "{body.object}[.{body.entry.0.changes.0.field}]", Account: "{body.entry.*.id}",
		},
		Handshakes: []webhooks.Handshake{{
			Name:    "subscribe",
			Methods: []string{http.MethodGet},
			When:    []webhooks.Match{{From: "query.hub.mode", Equals: "subscribe"}},
			Token:   webhooks.Source{From: "query.hub.verify_token"},
			Respond: webhooks.Response{Text: "{query.hub.challenge}"},
		}},
	}
}
