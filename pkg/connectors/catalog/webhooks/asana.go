package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// asana hands out the secret in a call that it makes while our own call that
// creates the webhook is still open, and wants it back at once. Every eight
// hours it sends an empty list to see whether we are there.
func asana() connectors.Webhook {
	return connectors.Webhook{
		Source:      "https://developers.asana.com/docs/webhooks-guide",
		Answer:      only200("https://developers.asana.com/docs/webhooks-guide"),
		SecretField: secretField,
		Verify:      one(bodyHMAC("X-Hook-Signature", "", connectors.SHA256, connectors.EncodingHex)),
		Delivery: connectors.Extraction{
			Type: "{body.events.0.resource.resource_type}.{body.events.0.action}", Sequence: "{body.events.0.created_at}",
		},
		Handshakes: []connectors.Handshake{{
			Name:    "X-Hook-Secret",
			Capture: connectors.Source{From: "header.X-Hook-Secret"},
			Respond: connectors.Response{Headers: map[string]string{"X-Hook-Secret": "{header.X-Hook-Secret}"}},
		}, {
			Name:     "heartbeat",
			When:     []connectors.Match{{From: "body.events", Empty: true}},
			Verified: true,
		}},
	}
}
