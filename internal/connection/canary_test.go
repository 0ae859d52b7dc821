package connection_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// Everything that can be done is done with secrets that can be recognised, and
// nothing that leaves the process may hold one: no value of a bucket, no message of
// the server (writes to buckets, events, questions to executors), no error with all
// its causes, no view but the two that tell a new URL.
func TestNoSecretIsAnywhereInTheClear(t *testing.T) {
	t.Parallel()
	own := shop("1.0.0", shopSchema)
	own.Validate = validateElsewhere
	w := newWorld(t, setup{nats: true, own: []connectors.Connector{own}})
	listener := w.env.Conn(t)
	wire, err := listener.SubscribeSync(">")
	must(t, err)
	must(t, wire.SetPendingLimits(-1, -1))
	must(t, listener.Flush())
	w.serveValidate("shop", func(config string) error {
		if strings.Contains(config, "refused") {
			return connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the provider does not accept it")
		}
		return nil
	})
	var said []string
	hear := func(v any, err error) {
		body, marshalErr := json.Marshal(v)
		must(t, marshalErr)
		said = append(said, string(body), fmt.Sprintf("%+v %#v", v, v))
		if err != nil {
			said = append(said, withCause(err), fmt.Sprintf("%+v %#v", err, err))
		}
	}
	ctx, r := t.Context(), shopOf(acme)
	config := func(n int, more string) json.RawMessage {
		return json.RawMessage(fmt.Sprintf(`{"apiKey":"canary-%d-key","hook":{"secret":"canary-%d-hook"},"servers":[{"host":"h","password":"canary-%d-pw"}]%s}`, n, n, n, more))
	}
	first, err := w.service.Connect(ctx, r, connection.ConnectInput{Config: config(1, "")})
	must(t, err)
	secrets := []string{"canary", segment(t, first).Reveal()}
	first.WebhookURL = ""
	hear(first, nil)
	hear(w.service.Connect(ctx, r, connection.ConnectInput{Config: config(2, "")}))
	hear(w.service.Connect(ctx, r, connection.ConnectInput{Config: config(3, `,"wrong":"canary"`), Replace: true}))
	hear(w.service.Connect(ctx, r, connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"canary-refused"}`), Replace: true}))
	hear(w.service.Connect(ctx, r, connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"canary`), Replace: true}))
	hear(w.service.Update(ctx, r, connection.UpdateInput{Config: config(4, "")}))
	hear(w.service.Update(ctx, r, connection.UpdateInput{Config: json.RawMessage(`{"apiKey":["canary"]}`)}))
	hear(w.service.Update(ctx, r, connection.UpdateInput{Config: json.RawMessage(`{"apiKey":"canary-refused"}`)}))
	hear(w.service.Update(ctx, r, connection.UpdateInput{Config: json.RawMessage(`["canary"]`)}))
	hear(w.service.Update(ctx, r, connection.UpdateInput{Tags: map[string]string{"a": "b"}}))
	hear(w.service.Toggle(ctx, r))
	hear(w.service.Resolve(ctx, r)) // disabled
	hear(w.service.Toggle(ctx, r))
	rotated, err := w.service.RotateWebhook(ctx, r)
	must(t, err)
	secrets = append(secrets, segment(t, rotated).Reveal())
	rotated.WebhookURL = ""
	hear(rotated, nil)
	later := shop("2.0.0", strings.Replace(shopSchema, `"note":{"type":"string"}`, `"note":{"type":"string","writeOnly":true}`, 1))
	later.Validate = validateElsewhere
	w.publish(later)
	hear(w.service.Update(ctx, r, connection.UpdateInput{Config: json.RawMessage(`{"note":"canary-note"}`)}))
	hear(w.service.Get(ctx, r))
	hear(w.service.List(ctx, acme, connection.Filter{}))
	runtime, err := w.service.Resolve(ctx, r)
	must(t, err)
	said = append(said, fmt.Sprintf("%+v %#v", runtime, runtime)) // its JSON is for the caller
	record, err := w.store.Get(ctx, r)
	hear(record, err)

	_, stranger := w.process(newKeyring(t))
	hear(stranger.Get(ctx, r))
	hear(stranger.Resolve(ctx, r))
	hear(stranger.Update(ctx, r, connection.UpdateInput{Config: config(5, "")}))
	hear(stranger.List(ctx, acme, connection.Filter{}))

	for key, value := range w.everything() {
		said = append(said, key+" "+value)
	}
	must(t, ignored(w.service.Disconnect(ctx, r)))
	for _, err := range w.problems {
		hear(nil, err)
	}
	must(t, w.bus.Ping(ctx))
	messages, _, err := wire.Pending()
	must(t, err)
	if messages < 50 {
		t.Fatalf("only %d messages were heard on the wire", messages)
	}
	for range messages {
		m, err := wire.NextMsgWithContext(ctx)
		must(t, err)
		said = append(said, fmt.Sprint(m.Subject, m.Header, string(m.Data)))
	}
	for _, text := range said {
		if containsAny(text, secrets...) {
			t.Errorf("a secret is in the clear in: %s", text)
		}
	}
}
