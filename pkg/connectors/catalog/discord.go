package catalog

import (
	"net/http"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// discordInteractions are slash commands and components. Discord sends wrong
// signatures on purpose and disables endpoints that accept them.
func discordInteractions() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:    "https://docs.discord.com/developers/interactions/overview#setting-up-an-endpoint-validating-security-request-headers",
		AppSecret: webhooks.AppWebhookSecret,
		Verify:    one(discordSignature()),
		Delivery: webhooks.Extraction{
			ID: "{body.id}", Type: "{body.type}", Account: "{body.guild_id|body.application_id}",
		},
		Handshakes: []webhooks.Handshake{{
			Name:     "PING",
			When:     []webhooks.Match{{From: "body.type", Equals: "1"}},
			Verified: true,
			Respond:  webhooks.Response{Body: `{"type":1}`},
		}},
	}
}

// discordEvents are webhook events: there 0 is the ping and 1 an event.
func discordEvents() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:    "https://docs.discord.com/developers/events/webhook-events",
		Answer:    webhooks.Answer{Status: http.StatusNoContent, Source: "https://docs.discord.com/developers/events/webhook-events#responding-to-events"},
		AppSecret: webhooks.AppWebhookSecret,
		Verify:    one(discordSignature()),
		Delivery:  webhooks.Extraction{Type: "{body.event.type}", Account: "{body.application_id}", Sequence: "{body.event.timestamp}"},
		Handshakes: []webhooks.Handshake{{
			Name:     "PING",
			When:     []webhooks.Match{{From: "body.type", Equals: "0"}},
			Verified: true,
			Respond:  webhooks.Response{Status: http.StatusNoContent},
		}},
	}
}

// discordSignature is Ed25519 with the public key shown beside the app's id.
func discordSignature() webhooks.Verification {
	return webhooks.Verification{
		Scheme:    webhooks.SchemeEd25519,
		Encoding:  webhooks.EncodingHex,
		Signature: webhooks.Source{From: "header.X-Signature-Ed25519"},
		Signed:    "{timestamp}{body}",
		Key:       webhooks.Key{Encoding: webhooks.EncodingHex},
		Timestamp: &webhooks.Timestamp{Source: webhooks.Source{From: "header.X-Signature-Timestamp"}},
	}
}
