package testenv

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/events"
)

// Config is the config of a [Probe].
type Config struct {
	APIKey        connectors.Secret `json:"apiKey"`
	WebhookSecret connectors.Secret `json:"webhookSecret,omitzero"`
	Channel       string            `json:"channel,omitempty" jsonschema:"default=general"`
}

// Probe returns a connector with an API key, a webhook signed by HMAC-SHA256 over
// "<timestamp>.<body>", and the given actions.
func Probe(key, baseURL string, actions ...connectors.Action) connectors.Connector {
	if baseURL == "" {
		baseURL = "http://127.0.0.1:1"
	}
	if len(actions) == 0 {
		actions = []connectors.Action{{Key: "noop", Idempotent: true, Handler: Returns(`{}`)}}
	}
	return connectors.Connector{
		Key: key, Config: schema.For[Config](), BaseURL: baseURL, Actions: actions,
		Metadata: connectors.Metadata{Name: "The " + key},
		Auth:     connectors.Auth{Kind: connectors.AuthAPIKey, Headers: map[string]string{"Authorization": "Bearer ${config.apiKey}"}},
		Webhook: &connectors.Webhook{Descriptor: webhooks.Descriptor{
			SecretField: "webhookSecret", MaxBody: 64 << 10,
			Verify: []webhooks.Verification{{
				Scheme: webhooks.SchemeHMAC, Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex,
				Signature: webhooks.Source{From: "header.X-Probe-Signature", Prefix: "sha256="},
				Signed:    "{timestamp}.{body}",
				Timestamp: &webhooks.Timestamp{Source: webhooks.Source{From: "header.X-Probe-Timestamp"}},
			}},
			Delivery: webhooks.Extraction{ID: "{header.X-Probe-Delivery}", Type: "{header.X-Probe-Event}"},
		}},
	}
}

// Sign returns the headers of a delivery to a [Probe].
func Sign(secret, delivery, kind string, body []byte, at time.Time) map[string]string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return map[string]string{
		"X-Probe-Signature": "sha256=" + hex.EncodeToString(mac.Sum(nil)),
		"X-Probe-Timestamp": stamp, "X-Probe-Delivery": delivery, "X-Probe-Event": kind,
	}
}

// Org is the tenant organization/identity.
func Org(identity string) events.Tenant {
	return events.Tenant{Scope: "organization", Identity: identity}
}

// Ref names an action of a tenant.
func Ref(t events.Tenant, connector, action string) events.ActionRef {
	return events.ActionRef{Tenant: t, Connector: connector, Action: action}
}

// Handler is what an action's handler is.
type Handler = func(ctx context.Context, call *connectors.Call, input json.RawMessage) (json.RawMessage, error)

// Returns is a handler that always returns output.
func Returns(output string) Handler {
	return func(context.Context, *connectors.Call, json.RawMessage) (json.RawMessage, error) {
		return json.RawMessage(output), nil
	}
}

// HMAC is the HMAC-SHA256 of a text in hex.
func HMAC(secret string, text []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(text)
	return hex.EncodeToString(mac.Sum(nil))
}
