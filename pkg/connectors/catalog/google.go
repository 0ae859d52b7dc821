package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// googlePush are the watch channels of Drive, Calendar and others: an empty
// body, and the token that the channel was made with in a header.
func googlePush() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:      "https://developers.google.com/workspace/drive/api/guides/push",
		SecretField: secretField,
		Verify: one(webhooks.Verification{
			Scheme:    webhooks.SchemeSharedSecret,
			Signature: webhooks.Source{From: "header.X-Goog-Channel-Token"},
		}),
		Delivery: webhooks.Extraction{
			ID:       "{header.X-Goog-Channel-ID}:{header.X-Goog-Message-Number}",
			Type:     "{header.X-Goog-Resource-State}",
			Account:  "{header.X-Goog-Channel-ID}",
			Sequence: "{header.X-Goog-Message-Number}",
		},
		Handshakes: []webhooks.Handshake{{
			Name:     "sync",
			When:     []webhooks.Match{{From: "header.X-Goog-Resource-State", Equals: "sync"}},
			Verified: true,
		}},
	}
}

// googlePubSub are push subscriptions with authentication (Gmail among them):
// a token signed by Google for our URL. Google signs for every service account
// of every customer, so the secret to configure is the e-mail address of the
// one that the subscription uses. The token does not cover the body.
func googlePubSub() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:      "https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions",
		SecretField: secretField,
		Verify: one(webhooks.Verification{
			Scheme:    webhooks.SchemeJWT,
			Signature: webhooks.Source{From: "header.Authorization", Prefix: "Bearer "},
			JWT: &webhooks.JWT{
				Algorithm: "RS256",
				JWKS:      "https://www.googleapis.com/oauth2/v3/certs",
				Issuer:    []string{"https://accounts.google.com", "accounts.google.com"},
				Audience:  "{url}",
				Claims:    map[string]string{"email": "{secret}", "email_verified": "true"},
			},
		}),
		Delivery: webhooks.Extraction{
			ID: "{body.message.messageId|body.message.message_id}", Account: "{body.subscription}", Sequence: "{body.message.publishTime}",
		},
	}
}
