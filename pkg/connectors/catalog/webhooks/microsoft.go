package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// microsoftGraph sends back the clientState that the subscription was made
// with, in each notification of a batch. New subscriptions are confirmed by
// echoing a token. Notifications of some resources are always the same.
func microsoftGraph() connectors.Webhook {
	return connectors.Webhook{
		Source:      "https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks",
		SecretField: secretField,
		Verify: one(connectors.Verification{
			Scheme:    connectors.SchemeSharedSecret,
			Each:      "value",
			Signature: connectors.Source{From: "each.clientState"},
		}),
		Delivery: connectors.Extraction{
			Type:    "{body.value.0.lifecycleEvent|body.value.0.changeType}",
			Account: "{body.value.*.subscriptionId}",
			Repeats: true,
		},
		Handshakes: []connectors.Handshake{{
			Name:    "validationToken",
			When:    []connectors.Match{{From: "query.validationToken", Present: true}},
			Respond: connectors.Response{Text: "{query.validationToken}"},
		}},
	}
}
