package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// telegram sends back the secret_token that setWebhook was called with.
func telegram() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:      "https://core.telegram.org/bots/api#setwebhook",
		SecretField: secretField,
		Verify: one(webhooks.Verification{
			Scheme:    webhooks.SchemeSharedSecret,
			Signature: webhooks.Source{From: "header.X-Telegram-Bot-Api-Secret-Token"},
		}),
		Delivery: webhooks.Extraction{ID: "{body.update_id}", Sequence: "{body.update_id}"},
	}
}
