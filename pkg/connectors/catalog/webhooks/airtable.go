package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// airtable signs with the macSecretBase64 that creating the webhook returned.
// A delivery is only a ping: the changes are fetched.
func airtable() connectors.Webhook {
	v := bodyHMAC("X-Airtable-Content-MAC", "hmac-sha256=", connectors.SHA256, connectors.EncodingHex)
	v.Key = connectors.Key{Encoding: connectors.EncodingBase64}
	return connectors.Webhook{
		Source:      "https://airtable.com/developers/web/api/webhooks-overview#webhook-notification-delivery",
		Answer:      only200("https://airtable.com/developers/web/api/webhooks-overview"),
		SecretField: secretField,
		Verify:      one(v),
		Delivery: connectors.Extraction{
			ID: "{body.webhook.id}:{body.timestamp}", Account: "{body.base.id}", Sequence: "{body.timestamp}",
		},
	}
}
