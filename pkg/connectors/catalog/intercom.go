package catalog

import (
	"net/http"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// intercom signs with the app's client secret (HMAC-SHA1), and probes new
// endpoints with HEAD.
func intercom() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:    "https://developers.intercom.com/docs/webhooks/setting-up-webhooks#signed-notifications",
		Answer:    only200(""),
		AppSecret: webhooks.AppClientSecret,
		Verify:    one(bodyHMAC("X-Hub-Signature", "sha1=", webhooks.SHA1, webhooks.EncodingHex)),
		Delivery:  webhooks.Extraction{ID: "{body.id}", Type: "{body.topic}", Account: "{body.app_id}", Sequence: "{body.created_at}"},
		Handshakes: []webhooks.Handshake{{
			Name:    "probe",
			Methods: []string{http.MethodHead},
		}, {
			Name:     "ping",
			When:     []webhooks.Match{{From: "body.topic", Equals: "ping"}},
			Verified: true,
		}},
	}
}
