package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// square signs the notification URL, as configured at Square, and the body.
func square() connectors.Webhook {
	return connectors.Webhook{
		Source:      "https://developer.squareup.com/docs/webhooks/step3validate",
		SecretField: secretField,
		AppSecret:   connectors.AppWebhookSecret,
		Verify: one(connectors.Verification{
			Scheme:    connectors.SchemeHMAC,
			Algorithm: connectors.SHA256,
			Encoding:  connectors.EncodingBase64,
			Signature: connectors.Source{From: "header.x-square-hmacsha256-signature"},
			Signed:    "{url}{body}",
		}),
		Delivery: connectors.Extraction{
			ID: "{body.event_id}", Type: "{body.type}", Account: "{body.merchant_id}", Sequence: "{body.created_at}",
		},
	}
}
