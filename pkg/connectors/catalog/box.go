package catalog

import (
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// box signs with two keys of the app, one header each, so that one can be
// replaced while the other holds. Configure both as secrets.
func box() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:    "https://developer.box.com/guides/webhooks/v2/signatures-v2/",
		AppSecret: webhooks.AppWebhookSecret,
		Verify:    []webhooks.Verification{boxSignature("box-signature-primary"), boxSignature("box-signature-secondary")},
		Delivery: webhooks.Extraction{
			ID: "{header.box-delivery-id}", Type: "{body.trigger}", Account: "{body.webhook.id}", Sequence: "{body.created_at}",
		},
	}
}

func boxSignature(header string) webhooks.Verification {
	v := bodyHMAC(header, "", webhooks.SHA256, webhooks.EncodingBase64)
	v.When = []webhooks.Match{
		{From: "header.box-signature-version", Equals: "1"},
		{From: "header.box-signature-algorithm", Equals: "HmacSHA256"},
	}
	v.Signed = "{body}{timestamp}"
	v.Timestamp = &webhooks.Timestamp{
		Source:    webhooks.Source{From: "header.box-delivery-timestamp"},
		Format:    webhooks.RFC3339,
		Tolerance: webhooks.Duration(10 * time.Minute),
	}
	return v
}
