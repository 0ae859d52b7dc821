package webhooks

import (
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// box signs with two keys of the app, one header each, so that one can be
// replaced while the other holds. Configure both as secrets.
func box() connectors.Webhook {
	return connectors.Webhook{
		Source:    "https://developer.box.com/guides/webhooks/v2/signatures-v2/",
		AppSecret: connectors.AppWebhookSecret,
		Verify:    []connectors.Verification{boxSignature("box-signature-primary"), boxSignature("box-signature-secondary")},
		Delivery: connectors.Extraction{
			ID: "{header.box-delivery-id}", Type: "{body.trigger}", Account: "{body.webhook.id}", Sequence: "{body.created_at}",
		},
	}
}

func boxSignature(header string) connectors.Verification {
	v := bodyHMAC(header, "", connectors.SHA256, connectors.EncodingBase64)
	v.When = []connectors.Match{
		{From: "header.box-signature-version", Equals: "1"},
		{From: "header.box-signature-algorithm", Equals: "HmacSHA256"},
	}
	v.Signed = "{body}{timestamp}"
	v.Timestamp = &connectors.Timestamp{
		Source:    connectors.Source{From: "header.box-delivery-timestamp"},
		Format:    connectors.RFC3339,
		Tolerance: connectors.Duration(10 * time.Minute),
	}
	return v
}
