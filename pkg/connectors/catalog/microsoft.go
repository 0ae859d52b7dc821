package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// microsoftGraph sends back the clientState that the subscription was made
// with, in each notification of a batch. New subscriptions are confirmed by
// echoing a token. Notifications of some resources are always the same.
func microsoftGraph() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:      "https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks",
		SecretField: secretField,
		Verify: one(webhooks.Verification{
			Scheme:    webhooks.SchemeSharedSecret,
			Each:      "value",
			Signature: webhooks.Source{From: "each.clientState"},
		}),
		Delivery: webhooks.Extraction{
			Type:    "{body.value.0.lifecycleEvent|body.value.0.changeType}",
			Account: "{body.value.*.subscriptionId}",
			Repeats: true,
		},
		Handshakes: []webhooks.Handshake{{
			Name:    "validationToken",
			When:    []webhooks.Match{{From: "query.validationToken", Present: true}},
			Respond: webhooks.Response{Text: "{query.validationToken}"},
		}},
	}
}
