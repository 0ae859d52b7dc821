package demo

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// keyConfig is the config of demo-key.
type keyConfig struct {
	APIKey        connectors.Secret `json:"apiKey" jsonschema:"title=API key,description=Any key that begins with demo_ will do,pattern=^demo_"`
	WebhookSecret connectors.Secret `json:"webhookSecret,omitzero" jsonschema:"title=Webhook secret,description=What the provider signs webhooks with,minLength=1"`
	Channel       string            `json:"channel,omitempty" jsonschema:"title=Channel,description=Where messages go,default=general,minLength=1,maxLength=200"`
}

// keyConnector is demo-key: an API key, every kind of action, and a webhook.
func keyConnector(providerURL string) connectors.Connector {
	return connectors.Connector{
		Key: KeyConnector,
		Metadata: connectors.Metadata{
			Name: "Demo (API key)", Description: "Actions and webhooks of the demo provider.", Categories: []string{"demo"},
		},
		Config:  schema.For[keyConfig](),
		BaseURL: providerURL,
		Auth: connectors.Auth{
			Kind: connectors.AuthAPIKey, Headers: map[string]string{"Authorization": "Bearer ${config.apiKey}"},
		},
		Actions: []connectors.Action{
			connectors.NewAction("postMessage", postMessage, &connectors.ActionOptions{
				Description: "Posts a text to the connection's channel.", Idempotent: true,
			}),
			connectors.NewAction("fail", fail, &connectors.ActionOptions{
				Description: "Fails with a status as often as asked, then says how many attempts it took.", Idempotent: true,
			}),
			connectors.NewAction("slow", slow, &connectors.ActionOptions{
				Description: "Takes its time.", Idempotent: true,
			}),
			connectors.NewAction("charge", charge, &connectors.ActionOptions{
				Description: "Charges an amount. The provider takes no idempotency key: calling twice charges twice.",
			}),
		},
		Webhook: &connectors.Webhook{Descriptor: webhooks.Descriptor{
			Description: "Sent by POST /_webhook of the demo provider.",
			SecretField: "webhookSecret",
			Verify: []webhooks.Verification{{
				Scheme:    webhooks.SchemeHMAC,
				Algorithm: webhooks.SHA256,
				Encoding:  webhooks.EncodingHex,
				Signature: webhooks.Source{From: "header.X-Demo-Signature", Prefix: "sha256="},
				Signed:    "{timestamp}.{body}",
				Timestamp: &webhooks.Timestamp{
					Source:    webhooks.Source{From: "header.X-Demo-Timestamp"},
					Tolerance: webhooks.Duration(300 * time.Second),
				},
			}},
			Delivery: webhooks.Extraction{ID: "{header.X-Demo-Delivery}", Type: "{header.X-Demo-Event}"},
		}},
		Validate: validateKey,
	}
}

// validateKey asks the provider whether it takes the key.
func validateKey(ctx context.Context, call *connectors.Call) error {
	_, err := request[account](ctx, call, "/api/me", nil)
	if p, ok := errors.AsType[*connectors.ProviderError](err); ok && p.Status == http.StatusUnauthorized {
		e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the provider does not accept the API key")
		e.ProviderStatus = p.Status
		e.Errors = []schema.FieldError{{Path: "apiKey", Message: "is not accepted by the provider"}}
		return e
	}
	return err
}

type postMessageInput struct {
	Text string `json:"text" jsonschema:"description=What to say,minLength=1,format=textarea"`
}

type postMessageOutput struct {
	ID      string `json:"id"`
	Text    string `json:"text"`
	Channel string `json:"channel"`
}

func postMessage(ctx context.Context, call *connectors.Call, in postMessageInput) (postMessageOutput, error) {
	config, err := connectors.ConfigAs[keyConfig](call)
	if err != nil {
		return postMessageOutput{}, err
	}
	body := map[string]string{"text": in.Text, "channel": config.Channel}
	return connectors.JSON[postMessageOutput](ctx, call, connectors.JSONRequest{Path: "/api/messages", Body: body, Header: idempotencyKey(call)})
}

type failInput struct {
	Status     int  `json:"status" jsonschema:"description=The HTTP status to fail with,minimum=400,maximum=599"`
	Times      *int `json:"times,omitempty" jsonschema:"description=How often to fail; always if absent,minimum=0,maximum=1000000"`
	RetryAfter int  `json:"retryAfter,omitempty" jsonschema:"description=Seconds to ask for in Retry-After,minimum=0,maximum=3600"`
}

type failOutput struct {
	Attempts int `json:"attempts"`
}

// fail counts by the request, so that only its own retries count.
func fail(ctx context.Context, call *connectors.Call, in failInput) (failOutput, error) {
	body := struct {
		failInput
		ID string `json:"id,omitempty"`
	}{in, portable(call.RequestID)}
	return request[failOutput](ctx, call, "/api/fail", body)
}

type slowInput struct {
	MS int `json:"ms" jsonschema:"description=How long it takes in milliseconds,minimum=0,maximum=120000"`
}

type slowOutput struct {
	MS int `json:"ms"`
}

func slow(ctx context.Context, call *connectors.Call, in slowInput) (slowOutput, error) {
	return request[slowOutput](ctx, call, "/api/slow", in)
}

type chargeInput struct {
	Amount float64 `json:"amount" jsonschema:"description=How much,exclusiveMinimum=0"`
}

type chargeOutput struct {
	ID string `json:"id"`
}

func charge(ctx context.Context, call *connectors.Call, in chargeInput) (chargeOutput, error) {
	return request[chargeOutput](ctx, call, "/api/charges", in)
}
