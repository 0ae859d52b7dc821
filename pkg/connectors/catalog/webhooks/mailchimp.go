package webhooks

import (
	"net/http"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// mailchimp signs nothing: the secret in the URL is all there is. It tries a
// new address with GET.
func mailchimp() connectors.Webhook {
	return connectors.Webhook{
		Source: "https://mailchimp.com/developer/marketing/guides/sync-audience-data-webhooks/",
		Answer: only200(""),
		Verify: one(connectors.Verification{Scheme: connectors.SchemeUnsigned}),
		Delivery: connectors.Extraction{
			Type: "{form.type}", Account: "{form.data[list_id]}", Sequence: "{form.fired_at}",
		},
		Handshakes: []connectors.Handshake{{Name: "probe", Methods: []string{http.MethodGet, http.MethodHead}}},
	}
}
