package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// slack signs with the app's signing secret. Events are JSON; interactions
// are a form whose field payload holds JSON; slash commands are plain forms.
func slack() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:    "https://docs.slack.dev/authentication/verifying-requests-from-slack",
		Answer:    only200("https://docs.slack.dev/interactivity/handling-user-interaction"),
		AppSecret: webhooks.AppWebhookSecret,
		Verify: one(webhooks.Verification{
			Scheme:    webhooks.SchemeHMAC,
			Algorithm: webhooks.SHA256,
			Encoding:  webhooks.EncodingHex,
			Signature: webhooks.Source{From: "header.X-Slack-Signature", Prefix: "v0="},
			Signed:    "v0:{timestamp}:{body}",
			Timestamp: &webhooks.Timestamp{Source: webhooks.Source{From: "header.X-Slack-Request-Timestamp"}},
		}),
		Payload: "payload",
		Delivery: webhooks.Extraction{
			ID:      "{body.event_id|body.trigger_id|form.trigger_id}",
			Type:    "{body.event.type|body.type|form.command}",
			Account: "{body.team_id|body.team.id|form.team_id}",
		},
		Handshakes: []webhooks.Handshake{{
			Name:     "url_verification",
			When:     []webhooks.Match{{From: "body.type", Equals: "url_verification"}},
			Verified: true,
			Respond:  webhooks.Response{JSON: map[string]string{"challenge": "{body.challenge}"}},
		}, {
			Name: "ssl_check", // not signed
			When: []webhooks.Match{{From: "form.ssl_check", Equals: "1"}},
		}},
	}
}
