package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// github signs the body, which may be a form whose field payload holds the
// JSON. Its older X-Hub-Signature (SHA-1) is not accepted.
func github() connectors.Webhook {
	return connectors.Webhook{
		Source:      "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
		SecretField: secretField,
		AppSecret:   connectors.AppWebhookSecret,
		Verify:      one(bodyHMAC("X-Hub-Signature-256", "sha256=", connectors.SHA256, connectors.EncodingHex)),
		Payload:     "payload",
		Delivery: connectors.Extraction{
			ID:      "{header.X-GitHub-Delivery}",
			Type:    "{header.X-GitHub-Event}",
			Account: "{body.installation.id}",
		},
	}
}
