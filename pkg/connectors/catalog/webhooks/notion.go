package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// notion signs with the verification token that its first call brings, which a
// person then pastes back into Notion to confirm.
func notion() connectors.Webhook {
	return connectors.Webhook{
		Source:      "https://developers.notion.com/reference/webhooks",
		Answer:      only200(""),
		SecretField: secretField,
		Verify:      one(bodyHMAC("X-Notion-Signature", "sha256=", connectors.SHA256, connectors.EncodingHex)),
		Delivery: connectors.Extraction{
			ID: "{body.id}", Type: "{body.type}", Account: "{body.workspace_id}", Sequence: "{body.timestamp}",
		},
		Handshakes: []connectors.Handshake{{
			Name:    "verification_token",
			Capture: connectors.Source{From: "body.verification_token"},
		}},
	}
}
