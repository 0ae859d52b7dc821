package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// square signs the notification URL, as configured at Square, and the body.
func square() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:      "https://developer.squareup.com/docs/webhooks/step3validate",
		SecretField: secretField,
		AppSecret:   webhooks.AppWebhookSecret,
		Verify: one(webhooks.Verification{
			Scheme:    webhooks.SchemeHMAC,
			Algorithm: webhooks.SHA256,
			Encoding:  webhooks.EncodingBase64,
			Signature: webhooks.Source{From: "header.x-square-hmacsha256-signature"},
			Signed:    "{url}{body}",
		}),
		Delivery: webhooks.Extraction{
			ID: "{body.event_id}", Type: "{body.type}", Account: "{body.merchant_id}", Sequence: "{body.created_at}",
		},
	}
}
