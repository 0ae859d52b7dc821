package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// xero signs with the app's webhook key. Before it enables an address it sends
// a few calls, some with wrong signatures: right ones want an empty 200, wrong
// ones a 401, without cookies. Every call, and every retry, has other entropy
// in its body.
func xero() connectors.Webhook {
	return connectors.Webhook{
		Source:    "https://developer.xero.com/documentation/guides/webhooks/configuring-your-server/",
		Answer:    only200("https://developer.xero.com/documentation/guides/webhooks/configuring-your-server/"),
		AppSecret: connectors.AppWebhookSecret,
		Verify:    one(bodyHMAC("x-xero-signature", "", connectors.SHA256, connectors.EncodingBase64)),
		Delivery: connectors.Extraction{
			ID:       "{body.events.0.tenantId}:{body.firstEventSequence}-{body.lastEventSequence}",
			Type:     "{body.events.0.eventCategory}.{body.events.0.eventType}",
			Account:  "{body.events.*.tenantId}",
			Sequence: "{body.lastEventSequence}",
		},
		Handshakes: []connectors.Handshake{{
			Name:     "intent to receive",
			When:     []connectors.Match{{From: "body.events", Empty: true}},
			Verified: true, BareRefusal: true,
		}},
	}
}
