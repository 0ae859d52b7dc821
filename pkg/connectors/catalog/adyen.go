package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// adyen signs payment notifications item by item, over eight fields and not
// over the rest of the item: act on what is signed, and fetch the remainder.
// Those of platforms, banking and management are signed as a whole in a header.
// Keys are hexadecimal.
func adyen() webhooks.Descriptor {
	const item = "each.NotificationRequestItem."
	key := webhooks.Key{Encoding: webhooks.EncodingHex}
	whole := bodyHMAC("HmacSignature", "", webhooks.SHA256, webhooks.EncodingBase64)
	whole.When = []webhooks.Match{{From: "body.notificationItems", Absent: true}}
	whole.Key = key
	const payment = "body.notificationItems.0.NotificationRequestItem."
	return webhooks.Descriptor{
		Source:      "https://docs.adyen.com/development-resources/webhooks/verify-hmac-signatures",
		SecretField: secretField,
		Verify: []webhooks.Verification{{
			Scheme:    webhooks.SchemeHMAC,
			Algorithm: webhooks.SHA256,
			Encoding:  webhooks.EncodingBase64,
			Key:       key,
			Each:      "notificationItems",
			Signature: webhooks.Source{From: item + "additionalData.hmacSignature"},
			Signed: "{" + item + "pspReference}:[{" + item + "originalReference}]:{" + item + "merchantAccountCode}:[{" +
				item + "merchantReference}]:{" + item + "amount.value}:{" + item + "amount.currency}:{" +
				item + "eventCode}:{" + item + "success}",
		}, whole},
		Delivery: webhooks.Extraction{
			// The same event may come again with a later date or another outcome.
			ID: "[{" + payment + "pspReference}:{" + payment + "eventCode}:{" + payment + "success}:{" + payment + "eventDate}]" +
				"[{body.type}:{body.data.id}:{body.timestamp|body.createdAt}]",
			Type:    "{" + payment + "eventCode|body.type}",
			Account: "{body.notificationItems.*.NotificationRequestItem.merchantAccountCode|body.data.balancePlatform|body.data.merchantId}",
		},
	}
}
