package catalog

import (
	"net/http"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// mailchimp signs nothing: the secret in the URL is all there is. It tries a
// new address with GET.
func mailchimp() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source: "https://mailchimp.com/developer/marketing/guides/sync-audience-data-webhooks/",
		Answer: only200(""),
		Verify: one(webhooks.Verification{Scheme: webhooks.SchemeUnsigned}),
		Delivery: webhooks.Extraction{
			Type: "{form.type}", Account: "{form.data[list_id]}", Sequence: "{form.fired_at}",
		},
		Handshakes: []webhooks.Handshake{{Name: "probe", Methods: []string{http.MethodGet, http.MethodHead}}},
	}
}
