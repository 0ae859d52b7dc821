package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// hubspotV3 signs method, decoded URL, body and time with the app's client
// secret. Deliveries are batches; a retry counts its attempts in the body, so
// that it is not recognised as one.
func hubspotV3() webhooks.Descriptor {
	w := hubspotFamily()
	w.Verify = one(webhooks.Verification{
		Scheme:    webhooks.SchemeHMAC,
		Algorithm: webhooks.SHA256,
		Encoding:  webhooks.EncodingBase64,
		Signature: webhooks.Source{From: "header.X-HubSpot-Signature-v3"},
		Signed:    "{method}{url.decoded}{body}{timestamp}",
		Timestamp: &webhooks.Timestamp{
			Source: webhooks.Source{From: "header.X-HubSpot-Request-Timestamp"},
			Format: webhooks.UnixMillis,
		},
	})
	return w
}

// hubspotV1 is a plain SHA-256 over client secret and body, without a time.
// HubSpot sends it beside v3: accepting both would let a recorded v3 delivery
// in again at any time.
func hubspotV1() webhooks.Descriptor {
	w := hubspotFamily()
	w.Verify = one(webhooks.Verification{
		Scheme:    webhooks.SchemeDigest,
		When:      []webhooks.Match{{From: "header.X-HubSpot-Signature-Version", Equals: "v1"}},
		Algorithm: webhooks.SHA256,
		Encoding:  webhooks.EncodingHex,
		Signature: webhooks.Source{From: "header.X-HubSpot-Signature"},
		Signed:    "{secret}{body}",
	})
	return w
}

func hubspotFamily() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:    "https://developers.hubspot.com/docs/guides/apps/authentication/validating-requests",
		AppSecret: webhooks.AppClientSecret,
		Delivery: webhooks.Extraction{
			Type:    "{body.0.subscriptionType|body.0.eventType}",
			Account: "{body.*.portalId|body.portalId}",
		},
	}
}
