package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// pagerduty (V3 webhook subscriptions) lists a signature for each active
// secret.
func pagerduty() webhooks.Descriptor {
	v := bodyHMAC("X-PagerDuty-Signature", "v1=", webhooks.SHA256, webhooks.EncodingHex)
	v.Signature.Separator = ","
	return webhooks.Descriptor{
		Source:      "https://developer.pagerduty.com/docs/verifying-webhook-signatures",
		SecretField: secretField,
		Verify:      one(v),
		Delivery: webhooks.Extraction{
			ID: "{body.event.id}", Type: "{body.event.event_type}", Account: "{header.X-Webhook-Subscription}",
			Sequence: "{body.event.occurred_at}",
		},
		Handshakes: []webhooks.Handshake{{
			Name:     "pagey.ping",
			When:     []webhooks.Match{{From: "body.event.event_type", Equals: "pagey.ping"}},
			Verified: true,
		}},
	}
}
