package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// asana hands out the secret in a call that it makes while our own call that
// creates the webhook is still open, and wants it back at once. Every eight
// hours it sends an empty list to see whether we are there.
func asana() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:      "https://developers.asana.com/docs/webhooks-guide",
		Answer:      only200("https://developers.asana.com/docs/webhooks-guide"),
		SecretField: secretField,
		Verify:      one(bodyHMAC("X-Hook-Signature", "", webhooks.SHA256, webhooks.EncodingHex)),
		Delivery: webhooks.Extraction{
			Type: "{body.events.0.resource.resource_type}.{body.events.0.action}", Sequence: "{body.events.0.created_at}",
		},
		Handshakes: []webhooks.Handshake{{
			Name:    "X-Hook-Secret",
			Capture: webhooks.Source{From: "header.X-Hook-Secret"},
			Respond: webhooks.Response{Headers: map[string]string{"X-Hook-Secret": "{header.X-Hook-Secret}"}},
		}, {
			Name:     "heartbeat",
			When:     []webhooks.Match{{From: "body.events", Empty: true}},
			Verified: true,
		}},
	}
}
