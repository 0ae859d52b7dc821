package catalog

import (
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// stripe signs with the endpoint's secret, the whole "whsec_…" text being the
// key; while a secret is rolled there are several v1.
func stripe() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:      "https://docs.stripe.com/webhooks/signature",
		SecretField: secretField,
		AppSecret:   webhooks.AppWebhookSecret,
		Verify:      one(timestampList("Stripe-Signature", ",", "t=", "v1=", "{timestamp}.{body}")),
		Delivery:    webhooks.Extraction{ID: "{body.id}", Type: "{body.type}", Account: "{body.account}"},
	}
}

// calendly signs in the same way.
func calendly() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:      "https://developer.calendly.com/api-docs/4c305798a61d3-webhook-signatures",
		SecretField: secretField,
		Verify:      one(timestampList("Calendly-Webhook-Signature", ",", "t=", "v1=", "{timestamp}.{body}")),
		Delivery:    webhooks.Extraction{Type: "{body.event}", Account: "{body.created_by}"},
	}
}

// paddle separates by semicolons and joins by a colon. Its libraries allow 5 s
// of age, too little for clocks that are set by hand; its retries are signed
// anew.
func paddle() webhooks.Descriptor {
	v := timestampList("Paddle-Signature", ";", "ts=", "h1=", "{timestamp}:{body}")
	v.Timestamp.Tolerance = webhooks.Duration(time.Minute)
	return webhooks.Descriptor{
		Source:      "https://developer.paddle.com/webhooks/signature-verification",
		Answer:      only200("https://developer.paddle.com/webhooks/respond-to-webhooks"),
		SecretField: secretField,
		Verify:      one(v),
		Delivery:    webhooks.Extraction{ID: "{body.event_id}", Type: "{body.event_type}", Sequence: "{body.occurred_at}"},
	}
}

// timestampList is a header that lists the time and one or more signatures.
func timestampList(header, separator, timestamp, signature, signed string) webhooks.Verification {
	return webhooks.Verification{
		Scheme:    webhooks.SchemeHMAC,
		Algorithm: webhooks.SHA256,
		Encoding:  webhooks.EncodingHex,
		Signature: webhooks.Source{From: "header." + header, Separator: separator, Prefix: signature},
		Signed:    signed,
		Timestamp: &webhooks.Timestamp{
			Source: webhooks.Source{From: "header." + header, Separator: separator, Prefix: timestamp},
		},
	}
}
