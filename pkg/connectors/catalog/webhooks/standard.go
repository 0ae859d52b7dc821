package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// standardWebhooks is the Standard Webhooks specification, which many
// providers send: HMAC-SHA256 (v1) with a secret "whsec_…".
func standardWebhooks() connectors.Webhook {
	w := standardFamily("webhook")
	w.Source = standardSource
	return w
}

const standardSource = "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"

// standardWebhooksEd25519 is its asymmetric kind (v1a) with a public key
// "whpk_…". It stands apart: accepting both would let a public key, which
// everybody knows, be used as a secret.
func standardWebhooksEd25519() connectors.Webhook {
	w := standardWebhooks()
	w.Verify = one(connectors.Verification{
		Scheme:    connectors.SchemeEd25519,
		Signature: connectors.Source{From: "header.webhook-signature", Separator: " ", Prefix: "v1a,"},
		Encoding:  connectors.EncodingBase64,
		Signed:    "{header.webhook-id}.{timestamp}.{body}",
		Key:       connectors.Key{Prefix: "whpk_", Encoding: connectors.EncodingBase64},
		Timestamp: &connectors.Timestamp{Source: connectors.Source{From: "header.webhook-timestamp"}},
	})
	return w
}

// svix is the same with its older header names.
func svix() connectors.Webhook {
	w := standardFamily("svix")
	w.Source = "https://docs.svix.com/receiving/verifying-payloads/how-manual"
	return w
}

// gitlabSigned is GitLab with a signing token, which follows the specification.
func gitlabSigned() connectors.Webhook {
	w := standardFamily("webhook")
	w.Source = "https://gitlab.com/gitlab-org/gitlab/-/merge_requests/230944"
	w.Answer = gitlab().Answer
	w.Delivery.Type = "{header.X-Gitlab-Event}"
	w.Delivery.Account = "{body.project.id|body.project_id|body.group_id}"
	return w
}

func standardFamily(headers string) connectors.Webhook {
	return connectors.Webhook{
		SecretField: secretField,
		Verify: one(connectors.Verification{
			Scheme:    connectors.SchemeHMAC,
			Algorithm: connectors.SHA256,
			Encoding:  connectors.EncodingBase64,
			Signature: connectors.Source{From: "header." + headers + "-signature", Separator: " ", Prefix: "v1,"},
			Signed:    "{header." + headers + "-id}.{timestamp}.{body}",
			Key:       connectors.Key{Prefix: "whsec_", Encoding: connectors.EncodingBase64},
			Timestamp: &connectors.Timestamp{Source: connectors.Source{From: "header." + headers + "-timestamp"}},
		}),
		Delivery: connectors.Extraction{ID: "{header." + headers + "-id}", Type: "{body.type|body.event_type}"},
	}
}
