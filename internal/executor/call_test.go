package executor_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestACallAnswersWithTheResult(t *testing.T) {
	t.Parallel()
	n := one(t, echo(), connectors.Action{Key: "refuse", Handler: func(context.Context, *connectors.Call, json.RawMessage) (json.RawMessage, error) {
		return nil, connectors.Permanent(errProvider)
	}})
	for name, c := range map[string]struct {
		subject, data, code, reply string
	}{
		"a success":         {n.Bus.Subjects.Call(testenv.Ref(ava, "probe", "echo")), `{"text":"x"}`, "", `{"data":{"text":"x"}}`},
		"a failure":         {n.Bus.Subjects.Call(testenv.Ref(ava, "probe", "refuse")), ``, "CONNECTOR_ACTION_FAILED", `{"error":{"code":"CONNECTOR_ACTION_FAILED","message":"the provider is not well"}}`},
		"bad input":         {n.Bus.Subjects.Call(testenv.Ref(ava, "probe", "echo")), `{}`, "CONNECTOR_ACTION_INPUT_INVALID", ""},
		"not connected":     {n.Bus.Subjects.Call(testenv.Ref(bob, "probe", "echo")), `{"text":"x"}`, "CONNECTOR_NOT_CONNECTED", ""},
		"unknown connector": {n.Bus.Subjects.Call(testenv.Ref(ava, "ghost", "walk")), `{}`, "CONNECTOR_NOT_FOUND", ""},
		"a short subject":   {"hawser.call.organization", `{}`, "CONNECTOR_ACTION_INPUT_INVALID", ""},
	} {
		header, reply, err := n.Bus.Request(t.Context(), c.subject, []byte(c.data))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := header.Get(events.HeaderErrorCode); got != c.code || c.reply != "" && string(reply) != c.reply {
			t.Errorf("%s: code %q, reply %s", name, got, reply)
		}
		var body struct{ Error *connectors.Error }
		if err := json.Unmarshal(reply, &body); err != nil || c.code != "" && (body.Error == nil || string(body.Error.Code) != c.code) {
			t.Errorf("%s: the reply's document is %s", name, reply)
		}
	}
	if got := n.Count(t, events.Results, ">"); got != 4 {
		t.Errorf("%d results are stored, want those of the 4 requests that were one", got)
	}
}

func TestConnectAsksAnExecutorToValidate(t *testing.T) {
	t.Parallel()
	type want struct {
		code connectors.Code
		path string
	}
	validating := testenv.Probe("probe", "")
	validating.Validate = func(_ context.Context, call *connectors.Call) error {
		config, err := connectors.ConfigAs[testenv.Config](call)
		if err != nil {
			return err
		}
		switch secret := config.APIKey.Reveal(); config.Channel {
		case "refuse":
			return errors.New("this key is unknown: " + secret)
		case "field":
			e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "no: %s", secret)
			e.Errors = []schema.FieldError{{Path: "apiKey", Message: "is " + secret}}
			return e
		case "panic":
			panic(secret)
		}
		return nil
	}
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{validating}})
	connect := func(channel string) *connectors.Error {
		_, err := n.Service.Connect(t.Context(), records.NewRef(ava, "probe", channel), connection.ConnectInput{
			Config: json.RawMessage(`{"apiKey":"canary-key","channel":"` + channel + `"}`)})
		return connectors.AsError(err)
	}
	if got := connect("early"); got == nil || got.Code != connectors.CodeConnectorUnavailable {
		t.Errorf("without an executor: %v, want CONNECTOR_UNAVAILABLE", got)
	}
	n.StartExecutor(t, nil)
	if got := connect("good"); got != nil {
		t.Errorf("a good config: %v", got)
	}
	for channel, w := range map[string]want{
		"refuse": {connectors.CodeConnectorConfigInvalid, ""},
		"field":  {connectors.CodeConnectorConfigInvalid, "apiKey"},
		"panic":  {connectors.CodeConnectorActionFailed, ""},
	} {
		got := connect(channel)
		if got == nil || got.Code != w.code && channel != "panic" {
			t.Errorf("%s: %v, want %s", channel, got, w.code)
			continue
		}
		if text, err := json.Marshal(got); err != nil || strings.Contains(string(text), "canary") {
			t.Errorf("%s: %s shows the key", channel, text)
		}
		if w.path != "" && (len(got.Errors) != 1 || got.Errors[0].Path != w.path) {
			t.Errorf("%s: errors %v", channel, got.Errors)
		}
	}
}

func TestARecordIsValidatedByItsOwnConnectorOnly(t *testing.T) {
	t.Parallel()
	var asked bool
	other := testenv.Probe("other", "")
	other.Validate = func(context.Context, *connectors.Call) error { asked = true; return nil }
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", ""), other}})
	n.Connect(t, ava, "probe", key)
	n.StartExecutor(t, nil)
	entry, err := n.Buckets.Connections.Get(t.Context(), records.NewRef(ava, "probe", "").Key())
	if err != nil {
		t.Fatal(err)
	}
	for name, record := range map[string][]byte{"another connector's": entry.Value, "nonsense": []byte("{"), "nothing": nil} {
		header, reply, err := n.Bus.Request(t.Context(), n.Bus.Subjects.Validate("other"), record)
		if err != nil || header.Get(events.HeaderErrorCode) != "CONNECTOR_CONFIG_INVALID" || asked {
			t.Errorf("%s: %v %s %v, asked %t", name, header, reply, err, asked)
		}
	}
}
