package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// xero signs with the app's webhook key. Before it enables an address it sends
// a few calls, some with wrong signatures: right ones want an empty 200, wrong
// ones a 401, without cookies. Every call, and every retry, has other entropy
// in its body.
func xero() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:    "https://developer.xero.com/documentation/guides/webhooks/configuring-your-server/",
		Answer:    only200("https://developer.xero.com/documentation/guides/webhooks/configuring-your-server/"),
		AppSecret: webhooks.AppWebhookSecret,
		Verify:    one(bodyHMAC("x-xero-signature", "", webhooks.SHA256, webhooks.EncodingBase64)),
		Delivery: webhooks.Extraction{
			ID:       "{body.events.0.tenantId}:{body.firstEventSequence}-{body.lastEventSequence}",
			Type:     "{body.events.0.eventCategory}.{body.events.0.eventType}",
			Account:  "{body.events.*.tenantId}",
			Sequence: "{body.lastEventSequence}",
		},
		Handshakes: []webhooks.Handshake{{
			Name:     "intent to receive",
			When:     []webhooks.Match{{From: "body.events", Empty: true}},
			Verified: true, BareRefusal: true,
		}},
	}
}
