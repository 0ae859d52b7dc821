package connectortest_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/connectortest"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

type config struct {
	Key connectors.Secret `json:"key"`
}

// echo is a connector whose action posts its text and returns the answer.
func echo(handler func(context.Context, *connectors.Call, json.RawMessage) (json.RawMessage, error)) *connectors.Connector {
	c := connectors.Connector{Key: "echo", Config: schema.For[config](), Actions: []connectors.Action{{Key: "post", Idempotent: true, Handler: handler}}}
	registry := connectors.NewRegistry()
	if err := registry.Register(c); err != nil {
		panic(err)
	}
	registered, _ := registry.Get("echo")
	return registered
}

func post(ctx context.Context, call *connectors.Call, input json.RawMessage) (json.RawMessage, error) {
	return connectors.JSON[json.RawMessage](ctx, call, connectors.JSONRequest{Path: "/post", Body: input})
}

const recorded = `
calls:
  - {action: post, input: {a: 1}, sends: ['POST /post {"a":1}'], answers: [{body: {b: 2}}], output: {b: 2}}
  - {action: post, input: {a: 1}, sends: ['POST /post {"a":1}'], answers: [{status: 409, body: {error: taken}}], error: "409: taken"}
`

func TestCheckAcceptsWhatIsAsRecorded(t *testing.T) {
	t.Parallel()
	failures, err := connectortest.Check(t.Context(), echo(post), []byte(recorded))
	if len(failures) > 0 || err != nil {
		t.Errorf("Check = %q, %v", failures, err)
	}
}

func TestCheckTellsWhatDiffers(t *testing.T) {
	t.Parallel()
	for from, to := range map[string]string{
		`{b: 2}}], output: {b: 2}`: `{b: 3}}], output: {b: 2}`, `409: taken`: `409: free`, `sends: ['POST /post {"a":1}'], answers: [{body`: `sends: ['GET /post'], answers: [{body`, `action: post`: `action: none`,
	} {
		failures, err := connectortest.Check(t.Context(), echo(post), []byte(strings.Replace(recorded, from, to, 1)))
		if len(failures) != 1 || err != nil {
			t.Errorf("with %s: Check = %q, %v, want one failure", to, failures, err)
		}
	}
	if _, err := connectortest.Check(t.Context(), echo(post), []byte("calls: [{acton: post}]")); err == nil {
		t.Error("an unknown member must be refused")
	}
}

func TestCheckFindsSecretsInErrors(t *testing.T) {
	t.Parallel()
	leaky := echo(func(_ context.Context, call *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
		call.Secrets = nil // nothing is removed from messages then
		c, err := connectors.ConfigAs[config](call)
		if err != nil {
			return nil, err
		}
		return nil, connectors.Errorf(connectors.CodeForbidden, "the key %s is refused", c.Key.Reveal())
	})
	failures, err := connectortest.Check(t.Context(), leaky, nil)
	if err != nil || len(failures) != 1 || !strings.Contains(failures[0], "contains a secret") {
		t.Errorf("Check = %q, %v, want the leak", failures, err)
	}
}
