package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// notion signs with the verification token that its first call brings, which a
// person then pastes back into Notion to confirm.
func notion() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:      "https://developers.notion.com/reference/webhooks",
		Answer:      only200(""),
		SecretField: secretField,
		Verify:      one(bodyHMAC("X-Notion-Signature", "sha256=", webhooks.SHA256, webhooks.EncodingHex)),
		Delivery: webhooks.Extraction{
			ID: "{body.id}", Type: "{body.type}", Account: "{body.workspace_id}", Sequence: "{body.timestamp}",
		},
		Handshakes: []webhooks.Handshake{{
			Name:    "verification_token",
			Capture: webhooks.Source{From: "body.verification_token"},
		}},
	}
}
