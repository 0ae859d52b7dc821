package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// airtable signs with the macSecretBase64 that creating the webhook returned.
// A delivery is only a ping: the changes are fetched.
func airtable() webhooks.Descriptor {
	v := bodyHMAC("X-Airtable-Content-MAC", "hmac-sha256=", webhooks.SHA256, webhooks.EncodingHex)
	v.Key = webhooks.Key{Encoding: webhooks.EncodingBase64}
	return webhooks.Descriptor{
		Source:      "https://airtable.com/developers/web/api/webhooks-overview#webhook-notification-delivery",
		Answer:      only200("https://airtable.com/developers/web/api/webhooks-overview"),
		SecretField: secretField,
		Verify:      one(v),
		Delivery: webhooks.Extraction{
			ID: "{body.webhook.id}:{body.timestamp}", Account: "{body.base.id}", Sequence: "{body.timestamp}",
		},
	}
}
