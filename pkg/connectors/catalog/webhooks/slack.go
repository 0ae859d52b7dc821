package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// slack signs with the app's signing secret. Events are JSON; interactions
// are a form whose field payload holds JSON; slash commands are plain forms.
func slack() connectors.Webhook {
	return connectors.Webhook{
		Source:    "https://docs.slack.dev/authentication/verifying-requests-from-slack",
		Answer:    only200("https://docs.slack.dev/interactivity/handling-user-interaction"),
		AppSecret: connectors.AppWebhookSecret,
		Verify: one(connectors.Verification{
			Scheme:    connectors.SchemeHMAC,
			Algorithm: connectors.SHA256,
			Encoding:  connectors.EncodingHex,
			Signature: connectors.Source{From: "header.X-Slack-Signature", Prefix: "v0="},
			Signed:    "v0:{timestamp}:{body}",
			Timestamp: &connectors.Timestamp{Source: connectors.Source{From: "header.X-Slack-Request-Timestamp"}},
		}),
		Payload: "payload",
		Delivery: connectors.Extraction{
			ID:      "{body.event_id|body.trigger_id|form.trigger_id}",
			Type:    "{body.event.type|body.type|form.command}",
			Account: "{body.team_id|body.team.id|form.team_id}",
		},
		Handshakes: []connectors.Handshake{{
			Name:     "url_verification",
			When:     []connectors.Match{{From: "body.type", Equals: "url_verification"}},
			Verified: true,
			Respond:  connectors.Response{JSON: map[string]string{"challenge": "{body.challenge}"}},
		}, {
			Name: "ssl_check", // not signed
			When: []connectors.Match{{From: "form.ssl_check", Equals: "1"}},
		}},
	}
}
