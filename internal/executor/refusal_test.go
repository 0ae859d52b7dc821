package executor_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
)

// wrongOutput promises a string and returns a number.
func wrongOutput() connectors.Action {
	schema, err := schema.Parse([]byte(`{"type":"object","properties":{"s":{"type":"string"}},"required":["s"]}`))
	if err != nil {
		panic(err)
	}
	return connectors.Action{Key: "wrongOutput", Output: schema, Handler: testenv.Returns(`{"s":123}`)}
}

func TestARequestThatCannotRunIsRefusedWithItsCode(t *testing.T) {
	t.Parallel()
	n := one(t, echo(), wrongOutput())
	off := testenv.Org("off")
	n.Connect(t, off, "probe", key)
	if _, err := n.Service.Toggle(t.Context(), records.NewRef(off, "probe", "")); err != nil {
		t.Fatal(err)
	}
	lifecycle, results := n.Listen(t, "hawser.event.>"), n.Listen(t, "hawser.result.>")
	past := events.Header{"ce-hawserdeadline": {time.Now().Add(-time.Second).Format(time.RFC3339)}}
	const good = `{"text":"x"}`
	for name, r := range map[string]struct {
		tenant     events.Tenant
		action     string
		header     events.Header
		data, code string
	}{
		"unknown action":       {ava, "nonsuch", nil, good, "CONNECTOR_ACTION_NOT_FOUND"},
		"unknown scope":        {events.Tenant{Scope: "galaxy", Identity: "a"}, "echo", nil, good, "CONNECTOR_SCOPE_INVALID"},
		"no identity":          {testenv.Org(""), "echo", nil, good, "CONNECTOR_SCOPE_IDENTIFIER_REQUIRED"},
		"not connected":        {testenv.Org("stranger"), "echo", nil, good, "CONNECTOR_NOT_CONNECTED"},
		"another account":      {ava, "echo", events.Header{"ce-hawseraccount": {"second"}}, good, "CONNECTOR_NOT_CONNECTED"},
		"disabled":             {off, "echo", nil, good, "CONNECTOR_DISABLED"},
		"no default config":    {connection.DefaultConfigTenant, "echo", nil, good, "CONNECTOR_DEFAULT_CONFIG_REQUIRED"},
		"deadline passed":      {ava, "echo", past, good, "CONNECTOR_ACTION_TIMEOUT"},
		"input does not fit":   {ava, "echo", nil, `{"text":1,"items":[{"name":"a"},{"name":2}],"more":1}`, "CONNECTOR_ACTION_INPUT_INVALID"},
		"nothing where needed": {ava, "echo", nil, "", "CONNECTOR_ACTION_INPUT_INVALID"},
	} {
		n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(r.tenant, "probe", r.action)), r.header, r.data)
		got := results.Outcome(t)
		if got.Type != "hawser.action.failed" || string(got.Code()) != r.code {
			t.Errorf("%s: got %s %v, want %s", name, got.Type, got.Error, r.code)
		}
		e := lifecycle.Event(t)
		if e.Type() != "hawser.action.failed" || events.Extension(e, events.ExtRequest) != got.ID {
			t.Errorf("%s: the event is %s of %s, want action.failed alone", name, e.Type(), events.Extension(e, events.ExtRequest))
		}
		if name == "input does not fit" {
			var paths []string
			for _, f := range got.Error.Errors {
				paths = append(paths, f.Path)
			}
			if diff := cmp.Diff([]string{"items.1.name", "more", "text"}, paths); diff != "" {
				t.Errorf("paths (-want +got):\n%s", diff)
			}
		}
	}
	waitEmpty(t, n, events.Actions)
	if got := n.Count(t, queue.Dead, ">"); got != 0 {
		t.Errorf("%d dead letters, want none: no attempt was made", got)
	}
}

func TestAnOutputThatDoesNotFitIsAFailureAndIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	n := one(t, wrongOutput(), connectors.Action{Key: "huge", Handler: func(context.Context, *connectors.Call, json.RawMessage) (json.RawMessage, error) {
		return json.Marshal(string(make([]byte, 1<<20)))
	}})
	results := n.Listen(t, "hawser.result.>")
	n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "wrongOutput")), nil, "")
	got := results.Outcome(t)
	if got.Code() != connectors.CodeConnectorActionOutputInvalid || len(got.Error.Errors) != 1 || got.Error.Errors[0].Path != "s" {
		t.Errorf("got %+v, want CONNECTOR_ACTION_OUTPUT_INVALID at s", got.Error)
	}
	n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "huge")), nil, "")
	if got := results.Outcome(t); got.Code() != connectors.CodeConnectorActionOutputInvalid {
		t.Errorf("an output of 6 MB: got %+v", got.Error)
	}
}

func TestActionsWithoutAConnectionUseTheDefaultConfig(t *testing.T) {
	t.Parallel()
	seen := make(chan *connectors.Call, 2)
	c := testenv.Probe("probe", "", connectors.Action{Key: "who", Handler: func(_ context.Context, call *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
		seen <- call
		return json.RawMessage(`"here"`), nil
	}})
	c.DefaultConfig = json.RawMessage(`{"apiKey":"default-key"}`)
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{c}})
	n.StartExecutor(t, nil)
	results := n.Listen(t, "hawser.result.>")
	n.Publish(t, "hawser.action.default.=.probe.who", nil, "")
	d := results.Message(t)
	if string(d.Data) != `{"data":"here"}` {
		t.Errorf("on %s: %s", d.Subject, d.Data)
	}
	call := <-seen
	config, err := connectors.ConfigAs[testenv.Config](call)
	if err != nil || config.APIKey.Reveal() != "default-key" || config.Channel != "general" || call.Scope != "default" || call.Identity != "" || call.ConnectionID != "" {
		t.Errorf("the handler saw %v with channel %q, %v", call, config.Channel, err)
	}
	front := n.StartIngress(t, &ingress.Options{})
	status, body := post(t, front, "/api/v1/connectors/probe/actions/who", "")
	if status != 200 || !strings.HasPrefix(body, `{"data":"here",`) {
		t.Errorf("over HTTP: %d %s", status, body)
	}
}

func TestTheSweepEndsRequestsToUnregisteredConnectors(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, nil)
	results := n.Listen(t, "hawser.result.>")
	n.Publish(t, "hawser.action.organization.a.ghost.walk", events.Header{"ce-id": {"g1"}}, "{}")
	n.Publish(t, "hawser.action.organization.a.ghost.walk", events.Header{"ce-id": {"g2"}}, "{}")
	n.Publish(t, "hawser.action.nonsense", nil, "{}")
	n.StartExecutor(t, &executor.Options{UnservedAfter: time.Millisecond})
	for range 2 {
		if got := results.Outcome(t); got.Code() != connectors.CodeConnectorNotFound {
			t.Errorf("%s: got %v, want CONNECTOR_NOT_FOUND", got.ID, got.Error)
		}
	}
	waitEmpty(t, n, events.Actions)
	if got := n.Count(t, events.Quarantine, ">"); got != 1 {
		t.Errorf("%d messages in quarantine, want the one without a connector", got)
	}
}

func TestTheSweepLoadsDefinitionsBeforeItEndsARequest(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, nil)
	// Another program publishes its connector; these definitions are not updated in time.
	other := records.NewDefinitions(n.Buckets)
	late := testenv.Probe("late", "")
	if err := other.Publish(t.Context(), []*connectors.Connector{&late}); err != nil {
		t.Fatal(err)
	}
	stale := *n
	stale.Definitions = records.NewDefinitions(n.Buckets) // empty, and not running
	n.Publish(t, "hawser.action.organization.a.late.noop", nil, "{}")
	n.Publish(t, "hawser.action.organization.a.ghost.walk", nil, "{}")
	results := n.Listen(t, "hawser.result.>")
	(&stale).StartExecutor(t, &executor.Options{UnservedAfter: time.Millisecond})
	if got := results.Outcome(t); got.Code() != connectors.CodeConnectorNotFound {
		t.Errorf("ghost: %v", got.Error)
	}
	testenv.Eventually(t, "the ghost's request is gone", func() bool { return n.Count(t, events.Actions, "hawser.action.*.*.ghost.>") == 0 })
	if got := n.Count(t, events.Actions, "hawser.action.*.*.late.>"); got != 1 {
		t.Errorf("%d requests for the late connector wait, want 1", got)
	}
}

func TestARequestPastItsDeadlineWhileItRunsIsATimeout(t *testing.T) {
	t.Parallel()
	n := one(t, connectors.Action{Key: "wait", Idempotent: true, Handler: func(ctx context.Context, _ *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	results := n.Listen(t, "hawser.result.>")
	soon := time.Now().Add(500 * time.Millisecond).Format(time.RFC3339Nano)
	n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "wait")), events.Header{"ce-hawserdeadline": {soon}}, "")
	if got := results.Outcome(t); got.Code() != connectors.CodeConnectorActionTimeout {
		t.Errorf("got %+v, want CONNECTOR_ACTION_TIMEOUT", got.Error)
	}
}

func TestAnUnavailableRecordStoreCountsAsNoAttempt(t *testing.T) {
	t.Parallel()
	n := one(t, echo())
	bucket, err := n.Bus.JetStream().Stream(t.Context(), "KV_hawser-connections")
	if err != nil {
		t.Fatal(err)
	}
	config := bucket.CachedInfo().Config
	results := n.Listen(t, "hawser.result.>")
	// A bucket that is gone is trouble of ours, and no answer about the connection.
	if err := n.Bus.JetStream().DeleteStream(t.Context(), config.Name); err != nil {
		t.Fatal(err)
	}
	ref := testenv.Ref(testenv.Org("not-cached"), "probe", "echo")
	n.Publish(t, n.Bus.Subjects.Action(ref), events.Header{"ce-id": {"r"}}, `{"text":"x"}`)
	testenv.Eventually(t, "the request is parked", func() bool { return n.Count(t, queue.Parked, n.Queue.Subjects.Parked(ref, "r")) == 1 })
	d, err := n.Queue.Streams.First(t.Context(), queue.Parked, 1, n.Queue.Subjects.Parked(ref, "r"))
	if err != nil || len(d.Header[events.HeaderAttempt]) != 0 {
		t.Errorf("parked with %v, %v, want no attempt counted", d.Header, err)
	}
	if _, err := n.Bus.JetStream().CreateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	if got := results.Outcome(t); got.Code() != connectors.CodeConnectorNotConnected {
		t.Errorf("when the store is back: %+v, want CONNECTOR_NOT_CONNECTED", got.Error)
	}
}

var errProvider = errors.New("the provider is not well")
