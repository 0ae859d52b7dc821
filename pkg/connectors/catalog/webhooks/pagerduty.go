package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// pagerduty (V3 webhook subscriptions) lists a signature for each active
// secret.
func pagerduty() connectors.Webhook {
	v := bodyHMAC("X-PagerDuty-Signature", "v1=", connectors.SHA256, connectors.EncodingHex)
	v.Signature.Separator = ","
	return connectors.Webhook{
		Source:      "https://developer.pagerduty.com/docs/verifying-webhook-signatures",
		SecretField: secretField,
		Verify:      one(v),
		Delivery: connectors.Extraction{
			ID: "{body.event.id}", Type: "{body.event.event_type}", Account: "{header.X-Webhook-Subscription}",
			Sequence: "{body.event.occurred_at}",
		},
		Handshakes: []connectors.Handshake{{
			Name:     "pagey.ping",
			When:     []connectors.Match{{From: "body.event.event_type", Equals: "pagey.ping"}},
			Verified: true,
		}},
	}
}
