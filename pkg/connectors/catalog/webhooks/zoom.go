package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// zoom signs with the app's secret token, and asks every 72 hours for a proof
// that we hold it.
func zoom() connectors.Webhook {
	return connectors.Webhook{
		Source:      "https://developers.zoom.us/docs/api/webhooks/",
		Answer:      only200("https://devsupport.zoom.us/hc/en-us/articles/360059893812-Webhook-delays"),
		SecretField: secretField,
		AppSecret:   connectors.AppWebhookSecret,
		Verify: one(connectors.Verification{
			Scheme:    connectors.SchemeHMAC,
			Algorithm: connectors.SHA256,
			Encoding:  connectors.EncodingHex,
			Signature: connectors.Source{From: "header.x-zm-signature", Prefix: "v0="},
			Signed:    "v0:{timestamp}:{body}",
			Timestamp: &connectors.Timestamp{Source: connectors.Source{From: "header.x-zm-request-timestamp"}},
		}),
		Delivery: connectors.Extraction{Type: "{body.event}", Account: "{body.payload.account_id}", Sequence: "{body.event_ts}"},
		Handshakes: []connectors.Handshake{{
			Name:     "endpoint.url_validation",
			When:     []connectors.Match{{From: "body.event", Equals: "endpoint.url_validation"}},
			Verified: true,
			Respond: connectors.Response{
				HMAC: &connectors.ResponseHMAC{
					Algorithm: connectors.SHA256, Encoding: connectors.EncodingHex, Over: "{body.payload.plainToken}",
				},
				JSON: map[string]string{"plainToken": "{body.payload.plainToken}", "encryptedToken": "{hmac}"},
			},
		}},
	}
}
