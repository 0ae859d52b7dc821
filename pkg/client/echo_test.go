package client_test

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// echo is a connector that needs no provider.
type echo struct {
	calls sync.Map // identity → *atomic.Int64, calls of count
	// held receives the text of each call of hold, which goes on when release lets it.
	held    chan string
	release chan struct{}
	once    sync.Once
}

func newEcho() *echo {
	return &echo{held: make(chan string, 16), release: make(chan struct{})}
}

type echoConfig struct {
	APIKey        connectors.Secret `json:"apiKey" jsonschema:"minLength=4"`
	WebhookSecret connectors.Secret `json:"webhookSecret,omitzero"`
	Greeting      string            `json:"greeting,omitempty" jsonschema:"default=hello,maxLength=20"`
}

func secretText(s string) connectors.Secret { return secret.New(s) }

type said struct {
	Text string `json:"text" jsonschema:"minLength=1"`
}

type heard struct {
	Text     string `json:"text"`
	Greeting string `json:"greeting"`
	Account  string `json:"account"`
}

func (e *echo) connector() connectors.Connector {
	idempotent := &connectors.ActionOptions{Idempotent: true}
	return connectors.Connector{
		Key:           "echo",
		Metadata:      connectors.Metadata{Name: "Echo"},
		Config:        schema.For[echoConfig](),
		DefaultConfig: json.RawMessage(`{"apiKey":"public","greeting":"anybody"}`),
		BaseURL:       "https://echo.example.com",
		Auth:          connectors.Auth{Kind: connectors.AuthAPIKey, Headers: map[string]string{"X-Key": "${config.apiKey}"}},
		Actions: []connectors.Action{
			connectors.NewAction("say", say, idempotent),
			connectors.NewAction("count", e.count, idempotent),
			connectors.NewAction("hold", e.hold, idempotent),
			connectors.NewAction("refuse", func(context.Context, *connectors.Call, struct{}) (struct{}, error) {
				return struct{}{}, connectors.Permanent(&connectors.ProviderError{Status: 418, Message: "I am a teapot"})
			}, nil),
			{Key: "mirror", Idempotent: true, Handler: func(_ context.Context, _ *connectors.Call, in json.RawMessage) (json.RawMessage, error) {
				return in, nil
			}},
		},
		Webhook: &connectors.Webhook{Descriptor: webhooks.Descriptor{
			SecretField: "webhookSecret",
			Verify: []webhooks.Verification{{
				Scheme: webhooks.SchemeHMAC, Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex,
				Signature: webhooks.Source{From: "header.X-Signature"}, Signed: "{body}",
			}},
			Delivery: webhooks.Extraction{ID: "{header.X-Delivery}", Type: "{header.X-Event}"},
		}},
	}
}

// count says how often it was called for the tenant.
func (e *echo) count(_ context.Context, call *connectors.Call, _ struct{}) (int64, error) {
	calls, _ := e.calls.LoadOrStore(call.Identity, new(atomic.Int64))
	return calls.(*atomic.Int64).Add(1), nil
}

func say(_ context.Context, call *connectors.Call, in said) (heard, error) {
	config, err := connectors.ConfigAs[echoConfig](call)
	return heard{Text: in.Text, Greeting: config.Greeting, Account: call.Account}, err
}

// hold waits until it is released.
func (e *echo) hold(ctx context.Context, _ *connectors.Call, in said) (said, error) {
	e.held <- in.Text
	select {
	case <-e.release:
		return in, nil
	case <-ctx.Done():
		return in, ctx.Err()
	}
}

func (e *echo) letGo() { e.once.Do(func() { close(e.release) }) }
