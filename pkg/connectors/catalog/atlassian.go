package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// atlassian is the kind that an administrator sets up in Jira or Confluence,
// with a secret.
func atlassian() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:      "https://developer.atlassian.com/cloud/jira/platform/webhooks/#secure-admin-webhooks",
		Answer:      only200("https://developer.atlassian.com/platform/marketplace/cloud-fortified-apps-program-webhook-delivery-success-rate"),
		SecretField: secretField,
		Verify:      one(bodyHMAC("X-Hub-Signature", "sha256=", webhooks.SHA256, webhooks.EncodingHex)),
		Delivery:    atlassianDelivery(),
	}
}

// atlassianOAuth is the kind that an OAuth app registers: a bearer token (JWT)
// signed with the app's client secret. The token does not cover the body.
func atlassianOAuth() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source: "https://developer.atlassian.com/cloud/jira/platform/webhooks/#webhooks-authentication-for-oauth-2-0-apps",
		Answer: only200("https://developer.atlassian.com/platform/marketplace/cloud-fortified-apps-program-webhook-delivery-success-rate"),
		// The page says bearer, and signed with the client secret. It names neither
		// algorithm nor claims: real deliveries are reported to be HS256, but
		// whether they carry the exp that is required here is not known.
		Unconfirmed: true,
		AppSecret:   webhooks.AppClientSecret,
		Verify: one(webhooks.Verification{
			Scheme:    webhooks.SchemeJWT,
			Signature: webhooks.Source{From: "header.Authorization", Prefix: "Bearer "},
			JWT:       &webhooks.JWT{Algorithm: "HS256"},
		}),
		Delivery: atlassianDelivery(),
	}
}

func atlassianDelivery() webhooks.Extraction {
	return webhooks.Extraction{
		ID:       "{header.X-Atlassian-Webhook-Identifier}",
		Type:     "{body.webhookEvent|body.event}",
		Account:  "{body.matchedWebhookIds.*}",
		Sequence: "{body.timestamp}",
	}
}
