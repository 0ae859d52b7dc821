package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// gitlab sends the secret token itself. See gitlabSigned for signing tokens.
func gitlab() connectors.Webhook {
	return connectors.Webhook{
		Source:      "https://docs.gitlab.com/user/project/integrations/webhooks/",
		Answer:      only200("https://docs.gitlab.com/user/project/integrations/webhooks/#webhook-receiver-requirements"),
		SecretField: secretField,
		Verify: one(connectors.Verification{
			Scheme:    connectors.SchemeSharedSecret,
			Signature: connectors.Source{From: "header.X-Gitlab-Token"},
		}),
		Delivery: connectors.Extraction{
			ID:      "{header.X-Gitlab-Event-UUID|header.Idempotency-Key}",
			Type:    "{header.X-Gitlab-Event}",
			Account: "{body.project.id|body.project_id|body.group_id}",
		},
	}
}
