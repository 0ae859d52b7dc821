package webhooks

import (
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// stripe signs with the endpoint's secret, the whole "whsec_…" text being the
// key; while a secret is rolled there are several v1.
func stripe() connectors.Webhook {
	return connectors.Webhook{
		Source:      "https://docs.stripe.com/webhooks/signature",
		SecretField: secretField,
		AppSecret:   connectors.AppWebhookSecret,
		Verify:      one(timestampList("Stripe-Signature", ",", "t=", "v1=", "{timestamp}.{body}")),
		Delivery:    connectors.Extraction{ID: "{body.id}", Type: "{body.type}", Account: "{body.account}"},
	}
}

// calendly signs in the same way.
func calendly() connectors.Webhook {
	return connectors.Webhook{
		Source:      "https://developer.calendly.com/api-docs/4c305798a61d3-webhook-signatures",
		SecretField: secretField,
		Verify:      one(timestampList("Calendly-Webhook-Signature", ",", "t=", "v1=", "{timestamp}.{body}")),
		Delivery:    connectors.Extraction{Type: "{body.event}", Account: "{body.created_by}"},
	}
}

// paddle separates by semicolons and joins by a colon. Its libraries allow 5 s
// of age, too little for clocks that are set by hand; its retries are signed
// anew.
func paddle() connectors.Webhook {
	v := timestampList("Paddle-Signature", ";", "ts=", "h1=", "{timestamp}:{body}")
	v.Timestamp.Tolerance = connectors.Duration(time.Minute)
	return connectors.Webhook{
		Source:      "https://developer.paddle.com/webhooks/signature-verification",
		Answer:      only200("https://developer.paddle.com/webhooks/respond-to-webhooks"),
		SecretField: secretField,
		Verify:      one(v),
		Delivery:    connectors.Extraction{ID: "{body.event_id}", Type: "{body.event_type}", Sequence: "{body.occurred_at}"},
	}
}

// timestampList is a header that lists the time and one or more signatures.
func timestampList(header, separator, timestamp, signature, signed string) connectors.Verification {
	return connectors.Verification{
		Scheme:    connectors.SchemeHMAC,
		Algorithm: connectors.SHA256,
		Encoding:  connectors.EncodingHex,
		Signature: connectors.Source{From: "header." + header, Separator: separator, Prefix: signature},
		Signed:    signed,
		Timestamp: &connectors.Timestamp{
			Source: connectors.Source{From: "header." + header, Separator: separator, Prefix: timestamp},
		},
	}
}
