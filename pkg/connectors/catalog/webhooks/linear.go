package webhooks

import (
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// linear signs the body, which holds the time.
func linear() connectors.Webhook {
	v := bodyHMAC("Linear-Signature", "", connectors.SHA256, connectors.EncodingHex)
	v.Timestamp = &connectors.Timestamp{
		Source:    connectors.Source{From: "body.webhookTimestamp"},
		Format:    connectors.UnixMillis,
		Tolerance: connectors.Duration(time.Minute),
	}
	return connectors.Webhook{
		Source:      "https://linear.app/developers/webhooks#securing-webhooks",
		Answer:      only200("https://linear.app/developers/webhooks"),
		SecretField: secretField,
		AppSecret:   connectors.AppWebhookSecret,
		Verify:      one(v),
		Delivery: connectors.Extraction{
			ID: "{header.Linear-Delivery}", Type: "{header.Linear-Event|body.type}[.{body.action}]", Account: "{body.organizationId}",
		},
	}
}
