package webhooks

import (
	"net/http"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// discordInteractions are slash commands and components. Discord sends wrong
// signatures on purpose and disables endpoints that accept them.
func discordInteractions() connectors.Webhook {
	return connectors.Webhook{
		Source:    "https://docs.discord.com/developers/interactions/overview#setting-up-an-endpoint-validating-security-request-headers",
		AppSecret: connectors.AppWebhookSecret,
		Verify:    one(discordSignature()),
		Delivery: connectors.Extraction{
			ID: "{body.id}", Type: "{body.type}", Account: "{body.guild_id|body.application_id}",
		},
		Handshakes: []connectors.Handshake{{
			Name:     "PING",
			When:     []connectors.Match{{From: "body.type", Equals: "1"}},
			Verified: true,
			Respond:  connectors.Response{Body: `{"type":1}`},
		}},
	}
}

// discordEvents are webhook events: there 0 is the ping and 1 an event.
func discordEvents() connectors.Webhook {
	return connectors.Webhook{
		Source:    "https://docs.discord.com/developers/events/webhook-events",
		Answer:    connectors.Answer{Status: http.StatusNoContent, Source: "https://docs.discord.com/developers/events/webhook-events#responding-to-events"},
		AppSecret: connectors.AppWebhookSecret,
		Verify:    one(discordSignature()),
		Delivery:  connectors.Extraction{Type: "{body.event.type}", Account: "{body.application_id}", Sequence: "{body.event.timestamp}"},
		Handshakes: []connectors.Handshake{{
			Name:     "PING",
			When:     []connectors.Match{{From: "body.type", Equals: "0"}},
			Verified: true,
			Respond:  connectors.Response{Status: http.StatusNoContent},
		}},
	}
}

// discordSignature is Ed25519 with the public key shown beside the app's id.
func discordSignature() connectors.Verification {
	return connectors.Verification{
		Scheme:    connectors.SchemeEd25519,
		Encoding:  connectors.EncodingHex,
		Signature: connectors.Source{From: "header.X-Signature-Ed25519"},
		Signed:    "{timestamp}{body}",
		Key:       connectors.Key{Encoding: connectors.EncodingHex},
		Timestamp: &connectors.Timestamp{Source: connectors.Source{From: "header.X-Signature-Timestamp"}},
	}
}
