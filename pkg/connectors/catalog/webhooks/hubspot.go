package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// hubspotV3 signs method, decoded URL, body and time with the app's client
// secret. Deliveries are batches; a retry counts its attempts in the body, so
// that it is not recognised as one.
func hubspotV3() connectors.Webhook {
	w := hubspotFamily()
	w.Verify = one(connectors.Verification{
		Scheme:    connectors.SchemeHMAC,
		Algorithm: connectors.SHA256,
		Encoding:  connectors.EncodingBase64,
		Signature: connectors.Source{From: "header.X-HubSpot-Signature-v3"},
		Signed:    "{method}{url.decoded}{body}{timestamp}",
		Timestamp: &connectors.Timestamp{
			Source: connectors.Source{From: "header.X-HubSpot-Request-Timestamp"},
			Format: connectors.UnixMillis,
		},
	})
	return w
}

// hubspotV1 is a plain SHA-256 over client secret and body, without a time.
// HubSpot sends it beside v3: accepting both would let a recorded v3 delivery
// in again at any time.
func hubspotV1() connectors.Webhook {
	w := hubspotFamily()
	w.Verify = one(connectors.Verification{
		Scheme:    connectors.SchemeDigest,
		When:      []connectors.Match{{From: "header.X-HubSpot-Signature-Version", Equals: "v1"}},
		Algorithm: connectors.SHA256,
		Encoding:  connectors.EncodingHex,
		Signature: connectors.Source{From: "header.X-HubSpot-Signature"},
		Signed:    "{secret}{body}",
	})
	return w
}

func hubspotFamily() connectors.Webhook {
	return connectors.Webhook{
		Source:    "https://developers.hubspot.com/docs/guides/apps/authentication/validating-requests",
		AppSecret: connectors.AppClientSecret,
		Delivery: connectors.Extraction{
			Type:    "{body.0.subscriptionType|body.0.eventType}",
			Account: "{body.*.portalId|body.portalId}",
		},
	}
}
