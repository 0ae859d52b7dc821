package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// zoom signs with the app's secret token, and asks every 72 hours for a proof
// that we hold it.
func zoom() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:      "https://developers.zoom.us/docs/api/webhooks/",
		Answer:      only200("https://devsupport.zoom.us/hc/en-us/articles/360059893812-Webhook-delays"),
		SecretField: secretField,
		AppSecret:   webhooks.AppWebhookSecret,
		Verify: one(webhooks.Verification{
			Scheme:    webhooks.SchemeHMAC,
			Algorithm: webhooks.SHA256,
			Encoding:  webhooks.EncodingHex,
			Signature: webhooks.Source{From: "header.x-zm-signature", Prefix: "v0="},
			Signed:    "v0:{timestamp}:{body}",
			Timestamp: &webhooks.Timestamp{Source: webhooks.Source{From: "header.x-zm-request-timestamp"}},
		}),
		Delivery: webhooks.Extraction{Type: "{body.event}", Account: "{body.payload.account_id}", Sequence: "{body.event_ts}"},
		Handshakes: []webhooks.Handshake{{
			Name:     "endpoint.url_validation",
			When:     []webhooks.Match{{From: "body.event", Equals: "endpoint.url_validation"}},
			Verified: true,
			Respond: webhooks.Response{
				HMAC: &webhooks.ResponseHMAC{
					Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex, Over: "{body.payload.plainToken}",
				},
				JSON: map[string]string{"plainToken": "{body.payload.plainToken}", "encryptedToken": "{hmac}"},
			},
		}},
	}
}
