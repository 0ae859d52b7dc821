package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// googlePush are the watch channels of Drive, Calendar and others: an empty
// body, and the token that the channel was made with in a header.
func googlePush() connectors.Webhook {
	return connectors.Webhook{
		Source:      "https://developers.google.com/workspace/drive/api/guides/push",
		SecretField: secretField,
		Verify: one(connectors.Verification{
			Scheme:    connectors.SchemeSharedSecret,
			Signature: connectors.Source{From: "header.X-Goog-Channel-Token"},
		}),
		Delivery: connectors.Extraction{
			ID:       "{header.X-Goog-Channel-ID}:{header.X-Goog-Message-Number}",
			Type:     "{header.X-Goog-Resource-State}",
			Account:  "{header.X-Goog-Channel-ID}",
			Sequence: "{header.X-Goog-Message-Number}",
		},
		Handshakes: []connectors.Handshake{{
			Name:     "sync",
			When:     []connectors.Match{{From: "header.X-Goog-Resource-State", Equals: "sync"}},
			Verified: true,
		}},
	}
}

// googlePubSub are push subscriptions with authentication (Gmail among them):
// a token signed by Google for our URL. Google signs for every service account
// of every customer, so the secret to configure is the e-mail address of the
// one that the subscription uses. The token does not cover the body.
func googlePubSub() connectors.Webhook {
	return connectors.Webhook{
		Source:      "https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions",
		SecretField: secretField,
		Verify: one(connectors.Verification{
			Scheme:    connectors.SchemeJWT,
			Signature: connectors.Source{From: "header.Authorization", Prefix: "Bearer "},
			JWT: &connectors.JWT{
				Algorithm: "RS256",
				JWKS:      "https://www.googleapis.com/oauth2/v3/certs",
				Issuer:    []string{"https://accounts.google.com", "accounts.google.com"},
				Audience:  "{url}",
				Claims:    map[string]string{"email": "{secret}", "email_verified": "true"},
			},
		}),
		Delivery: connectors.Extraction{
			ID: "{body.message.messageId|body.message.message_id}", Account: "{body.subscription}", Sequence: "{body.message.publishTime}",
		},
	}
}
