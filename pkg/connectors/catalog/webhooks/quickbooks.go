package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// quickbooks signs with the app's verifier token. Bodies are either lists of
// CloudEvents or, from older subscriptions, eventNotifications by company.
func quickbooks() connectors.Webhook {
	return connectors.Webhook{
		Source:    "https://developer.intuit.com/app/developer/qbo/docs/develop/webhooks",
		Answer:    only200("https://developer.intuit.com/app/developer/qbo/docs/develop/webhooks/best-practices"),
		AppSecret: connectors.AppWebhookSecret,
		Verify:    one(bodyHMAC("intuit-signature", "", connectors.SHA256, connectors.EncodingBase64)),
		Delivery: connectors.Extraction{
			ID:      "{body.0.id}",
			Type:    "{body.0.type|body.eventNotifications.0.dataChangeEvent.entities.0.name}",
			Account: "{body.*.intuitaccountid|body.eventNotifications.*.realmId}",
		},
	}
}
