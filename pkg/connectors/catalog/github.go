package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// github signs the body, which may be a form whose field payload holds the
// JSON. Its older X-Hub-Signature (SHA-1) is not accepted.
func github() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:      "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
		SecretField: secretField,
		AppSecret:   webhooks.AppWebhookSecret,
		Verify:      one(bodyHMAC("X-Hub-Signature-256", "sha256=", webhooks.SHA256, webhooks.EncodingHex)),
		Payload:     "payload",
		Delivery: webhooks.Extraction{
			ID:      "{header.X-GitHub-Delivery}",
			Type:    "{header.X-GitHub-Event}",
			Account: "{body.installation.id}",
		},
	}
}
