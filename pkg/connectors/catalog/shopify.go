package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// shopify signs with the app's client secret; for up to an hour after a
// rotation with the old one. Event subscriptions (2026) use the same headers
// without "X-". Webhook-Id is the same on retries; Event-Id is the same in all
// subscriptions to one event.
func shopify() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:    "https://shopify.dev/docs/apps/build/webhooks/subscribe/https#step-2-validate-the-origin-of-your-webhook-to-ensure-its-coming-from-shopify",
		AppSecret: webhooks.AppClientSecret,
		Verify: []webhooks.Verification{
			bodyHMAC("X-Shopify-Hmac-Sha256", "", webhooks.SHA256, webhooks.EncodingBase64),
			bodyHMAC("Shopify-Hmac-Sha256", "", webhooks.SHA256, webhooks.EncodingBase64),
		},
		Delivery: webhooks.Extraction{
			ID:       "{header.X-Shopify-Webhook-Id|header.Shopify-Webhook-Id}",
			Type:     "{header.X-Shopify-Topic|header.Shopify-Topic}",
			Account:  "{header.X-Shopify-Shop-Domain|header.Shopify-Shop-Domain}",
			Sequence: "{header.X-Shopify-Triggered-At|header.Shopify-Triggered-At}",
		},
	}
}
