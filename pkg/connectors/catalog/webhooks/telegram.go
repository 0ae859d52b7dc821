package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// telegram sends back the secret_token that setWebhook was called with.
func telegram() connectors.Webhook {
	return connectors.Webhook{
		Source:      "https://core.telegram.org/bots/api#setwebhook",
		SecretField: secretField,
		Verify: one(connectors.Verification{
			Scheme:    connectors.SchemeSharedSecret,
			Signature: connectors.Source{From: "header.X-Telegram-Bot-Api-Secret-Token"},
		}),
		Delivery: connectors.Extraction{ID: "{body.update_id}", Sequence: "{body.update_id}"},
	}
}
