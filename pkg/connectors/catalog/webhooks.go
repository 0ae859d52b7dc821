// Package webhooks describes, as data, how providers call us: signature,
// handshakes, and where a delivery's id, type and account stand. A connector
// takes one, or starts from one:
//
//	hook := catalog.Webhooks()["github"]
//	hook.SecretField = "signingSecret"
//	connector.Webhook = &hook
//
// Each descriptor names the provider's page that it follows (Source), and is
// tested with the provider's published examples, or with requests that the
// provider's own library or code signs or accepts: docs/webhooks.md says which.
// One of which a part could not be confirmed says so (Unconfirmed).
package catalog

import (
	"net/http"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// Webhooks returns a fresh copy of every descriptor by its name. The secret is
// expected in the config field "webhookSecret", unless the provider signs with
// a secret of the app.
func Webhooks() map[string]webhooks.Descriptor {
	return map[string]webhooks.Descriptor{
		"adyen":                     adyen(),
		"airtable":                  airtable(),
		"asana":                     asana(),
		"atlassian":                 atlassian(),
		"atlassian-oauth":           atlassianOAuth(),
		"aws-sns":                   awsSNS(),
		"box":                       box(),
		"calendly":                  calendly(),
		"discord-events":            discordEvents(),
		"discord-interactions":      discordInteractions(),
		"docusign":                  docusign(),
		"dropbox":                   dropbox(),
		"github":                    github(),
		"gitlab":                    gitlab(),
		"gitlab-signed":             gitlabSigned(),
		"google-pubsub":             googlePubSub(),
		"google-push":               googlePush(),
		"hubspot-v1":                hubspotV1(),
		"hubspot-v3":                hubspotV3(),
		"intercom":                  intercom(),
		"linear":                    linear(),
		"mailchimp":                 mailchimp(),
		"meta":                      meta(),
		"microsoft-graph":           microsoftGraph(),
		"notion":                    notion(),
		"paddle":                    paddle(),
		"pagerduty":                 pagerduty(),
		"quickbooks":                quickbooks(),
		"sendgrid":                  sendgrid(),
		"sentry":                    sentry(),
		"shopify":                   shopify(),
		"slack":                     slack(),
		"square":                    square(),
		"standard-webhooks":         standardWebhooks(),
		"standard-webhooks-ed25519": standardWebhooksEd25519(),
		"stripe":                    stripe(),
		"svix":                      svix(),
		"telegram":                  telegram(),
		"twilio":                    twilio(),
		"typeform":                  typeform(),
		"xero":                      xero(),
		"zendesk":                   zendesk(),
		"zoom":                      zoom(),
	}
}

// secretField is where a connection's config holds the secret by default.
const secretField = "webhookSecret"

// bodyHMAC is the plainest signature: an HMAC of the raw body in one header.
func bodyHMAC(header, prefix string, algorithm webhooks.Algorithm, encoding webhooks.Encoding) webhooks.Verification {
	return webhooks.Verification{
		Scheme:    webhooks.SchemeHMAC,
		Algorithm: algorithm,
		Encoding:  encoding,
		Signature: webhooks.Source{From: "header." + header, Prefix: prefix},
		Signed:    "{body}",
	}
}

// one makes the list of a single way to verify.
func one(v webhooks.Verification) []webhooks.Verification {
	return []webhooks.Verification{v}
}

// only200 is the answer for providers who name 200 as the success and do not say that
// 202 is one. source is the page; "" if none was found that names what is a success.
func only200(source string) webhooks.Answer {
	return webhooks.Answer{Status: http.StatusOK, Source: source}
}
