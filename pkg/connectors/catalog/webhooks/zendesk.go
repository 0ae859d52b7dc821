package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// zendesk signs time and body; the secret is used as it is shown, although it
// looks like base64.
func zendesk() connectors.Webhook {
	v := bodyHMAC("X-Zendesk-Webhook-Signature", "", connectors.SHA256, connectors.EncodingBase64)
	v.Signed = "{timestamp}{body}"
	v.Timestamp = &connectors.Timestamp{
		Source: connectors.Source{From: "header.X-Zendesk-Webhook-Signature-Timestamp"},
		Format: connectors.RFC3339,
	}
	return connectors.Webhook{
		Source:      "https://developer.zendesk.com/documentation/webhooks/verifying/",
		Answer:      only200(""),
		SecretField: secretField,
		Verify:      one(v),
		Delivery: connectors.Extraction{
			ID: "{header.X-Zendesk-Webhook-Invocation-Id}", Type: "{body.type}", Account: "{header.X-Zendesk-Account-Id}",
		},
	}
}
