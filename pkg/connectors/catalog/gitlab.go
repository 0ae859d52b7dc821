package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// gitlab sends the secret token itself. See gitlabSigned for signing tokens.
func gitlab() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:      "https://docs.gitlab.com/user/project/integrations/webhooks/",
		Answer:      only200("https://docs.gitlab.com/user/project/integrations/webhooks/#webhook-receiver-requirements"),
		SecretField: secretField,
		Verify: one(webhooks.Verification{
			Scheme:    webhooks.SchemeSharedSecret,
			Signature: webhooks.Source{From: "header.X-Gitlab-Token"},
		}),
		Delivery: webhooks.Extraction{
			ID:      "{header.X-Gitlab-Event-UUID|header.Idempotency-Key}",
			Type:    "{header.X-Gitlab-Event}",
			Account: "{body.project.id|body.project_id|body.group_id}",
		},
	}
}
