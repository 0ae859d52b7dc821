package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// quickbooks signs with the app's verifier token. Bodies are either lists of
// CloudEvents or, from older subscriptions, eventNotifications by company.
func quickbooks() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:    "https://developer.intuit.com/app/developer/qbo/docs/develop/webhooks",
		Answer:    only200("https://developer.intuit.com/app/developer/qbo/docs/develop/webhooks/best-practices"),
		AppSecret: webhooks.AppWebhookSecret,
		Verify:    one(bodyHMAC("intuit-signature", "", webhooks.SHA256, webhooks.EncodingBase64)),
		Delivery: webhooks.Extraction{
			ID:      "{body.0.id}",
			Type:    "{body.0.type|body.eventNotifications.0.dataChangeEvent.entities.0.name}",
			Account: "{body.*.intuitaccountid|body.eventNotifications.*.realmId}",
		},
	}
}
