package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// adyen signs payment notifications item by item, over eight fields and not
// over the rest of the item: act on what is signed, and fetch the remainder.
// Those of platforms, banking and management are signed as a whole in a header.
// Keys are hexadecimal.
func adyen() connectors.Webhook {
	const item = "each.NotificationRequestItem."
	key := connectors.Key{Encoding: connectors.EncodingHex}
	whole := bodyHMAC("HmacSignature", "", connectors.SHA256, connectors.EncodingBase64)
	whole.When = []connectors.Match{{From: "body.notificationItems", Absent: true}}
	whole.Key = key
	const payment = "body.notificationItems.0.NotificationRequestItem."
	return connectors.Webhook{
		Source:      "https://docs.adyen.com/development-resources/webhooks/verify-hmac-signatures",
		SecretField: secretField,
		Verify: []connectors.Verification{{
			Scheme:    connectors.SchemeHMAC,
			Algorithm: connectors.SHA256,
			Encoding:  connectors.EncodingBase64,
			Key:       key,
			Each:      "notificationItems",
			Signature: connectors.Source{From: item + "additionalData.hmacSignature"},
			Signed: "{" + item + "pspReference}:[{" + item + "originalReference}]:{" + item + "merchantAccountCode}:[{" +
				item + "merchantReference}]:{" + item + "amount.value}:{" + item + "amount.currency}:{" +
				item + "eventCode}:{" + item + "success}",
		}, whole},
		Delivery: connectors.Extraction{
			// The same event may come again with a later date or another outcome.
			ID: "[{" + payment + "pspReference}:{" + payment + "eventCode}:{" + payment + "success}:{" + payment + "eventDate}]" +
				"[{body.type}:{body.data.id}:{body.timestamp|body.createdAt}]",
			Type:    "{" + payment + "eventCode|body.type}",
			Account: "{body.notificationItems.*.NotificationRequestItem.merchantAccountCode|body.data.balancePlatform|body.data.merchantId}",
		},
	}
}
