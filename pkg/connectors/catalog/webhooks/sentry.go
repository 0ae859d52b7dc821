package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// sentry signs with the integration's client secret. Its timestamp header is
// not signed, so it proves nothing and is not checked.
func sentry() connectors.Webhook {
	return connectors.Webhook{
		Source:    "https://docs.sentry.io/organization/integrations/integration-platform/webhooks/",
		AppSecret: connectors.AppClientSecret,
		Verify:    one(bodyHMAC("Sentry-Hook-Signature", "", connectors.SHA256, connectors.EncodingHex)),
		Delivery: connectors.Extraction{
			ID: "{header.Request-ID}", Type: "{header.Sentry-Hook-Resource}[.{body.action}]",
			Account: "{body.installation.uuid}", Sequence: "{header.Sentry-Hook-Timestamp}",
		},
	}
}
