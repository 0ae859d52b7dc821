package webhooks

import (
	"net/http"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// intercom signs with the app's client secret (HMAC-SHA1), and probes new
// endpoints with HEAD.
func intercom() connectors.Webhook {
	return connectors.Webhook{
		Source:    "https://developers.intercom.com/docs/webhooks/setting-up-webhooks#signed-notifications",
		Answer:    only200(""),
		AppSecret: connectors.AppClientSecret,
		Verify:    one(bodyHMAC("X-Hub-Signature", "sha1=", connectors.SHA1, connectors.EncodingHex)),
		Delivery:  connectors.Extraction{ID: "{body.id}", Type: "{body.topic}", Account: "{body.app_id}", Sequence: "{body.created_at}"},
		Handshakes: []connectors.Handshake{{
			Name:    "probe",
			Methods: []string{http.MethodHead},
		}, {
			Name:     "ping",
			When:     []connectors.Match{{From: "body.topic", Equals: "ping"}},
			Verified: true,
		}},
	}
}
