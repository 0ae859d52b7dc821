package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// sentry signs with the integration's client secret. Its timestamp header is
// not signed, so it proves nothing and is not checked.
func sentry() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:    "https://docs.sentry.io/organization/integrations/integration-platform/webhooks/",
		AppSecret: webhooks.AppClientSecret,
		Verify:    one(bodyHMAC("Sentry-Hook-Signature", "", webhooks.SHA256, webhooks.EncodingHex)),
		Delivery: webhooks.Extraction{
			ID: "{header.Request-ID}", Type: "{header.Sentry-Hook-Resource}[.{body.action}]",
			Account: "{body.installation.uuid}", Sequence: "{header.Sentry-Hook-Timestamp}",
		},
	}
}
