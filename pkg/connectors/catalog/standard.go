package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// standardWebhooks is the Standard Webhooks specification, which many
// providers send: HMAC-SHA256 (v1) with a secret "whsec_…".
func standardWebhooks() webhooks.Descriptor {
	w := standardFamily("webhook")
	w.Source = standardSource
	return w
}

const standardSource = "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"

// standardWebhooksEd25519 is its asymmetric kind (v1a) with a public key
// "whpk_…". It stands apart: accepting both would let a public key, which
// everybody knows, be used as a secret.
func standardWebhooksEd25519() webhooks.Descriptor {
	w := standardWebhooks()
	w.Verify = one(webhooks.Verification{
		Scheme:    webhooks.SchemeEd25519,
		Signature: webhooks.Source{From: "header.webhook-signature", Separator: " ", Prefix: "v1a,"},
		Encoding:  webhooks.EncodingBase64,
		Signed:    "{header.webhook-id}.{timestamp}.{body}",
		Key:       webhooks.Key{Prefix: "whpk_", Encoding: webhooks.EncodingBase64},
		Timestamp: &webhooks.Timestamp{Source: webhooks.Source{From: "header.webhook-timestamp"}},
	})
	return w
}

// svix is the same with its older header names.
func svix() webhooks.Descriptor {
	w := standardFamily("svix")
	w.Source = "https://docs.svix.com/receiving/verifying-payloads/how-manual"
	return w
}

// gitlabSigned is GitLab with a signing token, which follows the specification.
func gitlabSigned() webhooks.Descriptor {
	w := standardFamily("webhook")
	w.Source = "https://gitlab.com/gitlab-org/gitlab/-/merge_requests/230944"
	w.Answer = gitlab().Answer
	w.Delivery.Type = "{header.X-Gitlab-Event}"
	w.Delivery.Account = "{body.project.id|body.project_id|body.group_id}"
	return w
}

func standardFamily(headers string) webhooks.Descriptor {
	return webhooks.Descriptor{
		SecretField: secretField,
		Verify: one(webhooks.Verification{
			Scheme:    webhooks.SchemeHMAC,
			Algorithm: webhooks.SHA256,
			Encoding:  webhooks.EncodingBase64,
			Signature: webhooks.Source{From: "header." + headers + "-signature", Separator: " ", Prefix: "v1,"},
			Signed:    "{header." + headers + "-id}.{timestamp}.{body}",
			Key:       webhooks.Key{Prefix: "whsec_", Encoding: webhooks.EncodingBase64},
			Timestamp: &webhooks.Timestamp{Source: webhooks.Source{From: "header." + headers + "-timestamp"}},
		}),
		Delivery: webhooks.Extraction{ID: "{header." + headers + "-id}", Type: "{body.type|body.event_type}"},
	}
}
