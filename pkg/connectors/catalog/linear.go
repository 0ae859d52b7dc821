package catalog

import (
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// linear signs the body, which holds the time.
func linear() webhooks.Descriptor {
	v := bodyHMAC("Linear-Signature", "", webhooks.SHA256, webhooks.EncodingHex)
	v.Timestamp = &webhooks.Timestamp{
		Source:    webhooks.Source{From: "body.webhookTimestamp"},
		Format:    webhooks.UnixMillis,
		Tolerance: webhooks.Duration(time.Minute),
	}
	return webhooks.Descriptor{
		Source:      "https://linear.app/developers/webhooks#securing-webhooks",
		Answer:      only200("https://linear.app/developers/webhooks"),
		SecretField: secretField,
		AppSecret:   webhooks.AppWebhookSecret,
		Verify:      one(v),
		Delivery: webhooks.Extraction{
			ID: "{header.Linear-Delivery}", Type: "{header.Linear-Event|body.type}[.{body.action}]", Account: "{body.organizationId}",
		},
	}
}
