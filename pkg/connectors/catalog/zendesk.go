package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// zendesk signs time and body; the secret is used as it is shown, although it
// looks like base64.
func zendesk() webhooks.Descriptor {
	v := bodyHMAC("X-Zendesk-Webhook-Signature", "", webhooks.SHA256, webhooks.EncodingBase64)
	v.Signed = "{timestamp}{body}"
	v.Timestamp = &webhooks.Timestamp{
		Source: webhooks.Source{From: "header.X-Zendesk-Webhook-Signature-Timestamp"},
		Format: webhooks.RFC3339,
	}
	return webhooks.Descriptor{
		Source:      "https://developer.zendesk.com/documentation/webhooks/verifying/",
		Answer:      only200(""),
		SecretField: secretField,
		Verify:      one(v),
		Delivery: webhooks.Extraction{
			ID: "{header.X-Zendesk-Webhook-Invocation-Id}", Type: "{body.type}", Account: "{header.X-Zendesk-Account-Id}",
		},
	}
}
