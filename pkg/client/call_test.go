package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/client"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// connected connects a tenant to echo.
func connected(t testing.TB, scope *client.Scope) *client.Scope {
	t.Helper()
	if _, err := scope.Connect(t.Context(), "echo", echoConfig{APIKey: secretText("k-" + "0123456789")}, nil); err != nil {
		t.Fatal(err)
	}
	return scope
}

// wantCode checks that err is an error of Hawser with a code.
func wantCode(t *testing.T, err error, code connectors.Code) *connectors.Error {
	t.Helper()
	e, ok := errors.AsType[*connectors.Error](err)
	if !ok || e.Code != code {
		t.Fatalf("got error %v (%T), want one of code %s", err, err, code)
	}
	return e
}

func actionsRunAndFailWithTypedErrors(t *testing.T, s *system) {
	c := s.client(t, nil)
	org := connected(t, c.Scope("organization", "calls"))

	got, err := client.Call[heard](t.Context(), org.Action("echo", "say"), said{"hi"})
	if want := (heard{"hi", "hello", "default"}); err != nil || got != want {
		t.Errorf("say = %+v, %v, want %+v", got, err, want)
	}
	got, err = client.Call[heard](t.Context(), c.Action("echo", "say"), said{"hi"})
	if want := (heard{"hi", "anybody", "default"}); err != nil || got != want {
		t.Errorf("say with the default config = %+v, %v, want %+v", got, err, want)
	}
	raw, err := org.Action("echo", "mirror").Call(t.Context(), nil)
	if err != nil || string(raw) != "{}" {
		t.Errorf("mirror of no input = %s, %v, want {}", raw, err)
	}
	raw, err = org.Action("echo", "mirror").Call(t.Context(), json.RawMessage(`{"n":12345678901234567890,"a":[1.0]}`))
	if err != nil || string(raw) != `{"n":12345678901234567890,"a":[1.0]}` {
		t.Errorf("mirror = %s, %v, want the bytes that were sent", raw, err)
	}

	_, err = org.Action("echo", "say").Call(t.Context(), map[string]any{"text": "", "loud": true})
	e := wantCode(t, err, connectors.CodeConnectorActionInputInvalid)
	var paths []string
	for _, field := range e.Errors {
		paths = append(paths, field.Path)
	}
	if diff := cmp.Diff([]string{"loud", "text"}, paths); diff != "" {
		t.Errorf("fields of the refused input (-want +got):\n%s", diff)
	}
	_, err = org.Action("echo", "refuse").Call(t.Context(), nil)
	if e := wantCode(t, err, connectors.CodeConnectorActionFailed); e.ProviderStatus != 418 {
		t.Errorf("provider status %d, want 418", e.ProviderStatus)
	}
	_, err = client.Call[struct{ Text int }](t.Context(), org.Action("echo", "say"), said{"not a number"})
	if e := wantCode(t, err, connectors.CodeConnectorActionOutputInvalid); strings.Contains(e.Error(), "not a number") {
		t.Errorf("the error quotes the output: %v", e)
	}
	for _, refused := range []struct {
		action *client.Action
		code   connectors.Code
	}{
		{org.Action("echo", "sing"), connectors.CodeConnectorActionNotFound},
		{org.Account("other").Action("echo", "say"), connectors.CodeConnectorNotConnected},
		{c.Scope("organization", "call").Action("echo", "say"), connectors.CodeConnectorNotConnected},
		{c.Scope("planet", "mars").Action("echo", "say"), connectors.CodeConnectorScopeInvalid},
		{c.Scope("organization", "").Action("echo", "say"), connectors.CodeConnectorScopeIdentifierRequired},
		{org.Action("nope", "say"), connectors.CodeConnectorNotFound},
	} {
		_, err := refused.action.Call(t.Context(), said{"hi"})
		wantCode(t, err, refused.code)
	}
}

func requestsCarryTheirOptions(t *testing.T, s *system) {
	nc := s.Conn(t)
	c := newClient(t, nc, nil)
	org := connected(t, c.Scope("organization", "options"))
	if _, err := org.Account("sales").Connect(t.Context(), "echo", map[string]any{"apiKey": "s-0123456789", "greeting": "sold"}, nil); err != nil {
		t.Fatal(err)
	}
	got, err := client.Call[heard](t.Context(), org.Account("sales").Action("echo", "say"), said{"hi"})
	if want := (heard{"hi", "sold", "sales"}); err != nil || got != want {
		t.Errorf("say of account sales = %+v, %v, want %+v", got, err, want)
	}
	_, err = org.Action("echo", "say").With(client.PublishOptions{Deadline: time.Unix(1, 0)}).Call(t.Context(), said{"late"})
	wantCode(t, err, connectors.CodeConnectorActionTimeout)

	requests, err := nc.SubscribeSync("hawser.action.organization.options.echo.say")
	if err != nil {
		t.Fatal(err)
	}
	say := org.Action("echo", "say").With(client.PublishOptions{ID: "first", Priority: client.High})
	id, err := say.Publish(t.Context(), said{"hi"}, &client.PublishOptions{ID: "ünï 1", Account: "sales"})
	if err != nil || id != "ünï 1" {
		t.Fatalf("published as %q, %v, want the ID given", id, err)
	}
	request, err := requests.NextMsgWithContext(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"ce-id": "%C3%BCn%C3%AF%201", "ce-hawserpriority": "high", "ce-hawseraccount": "sales"} {
		if got := request.Header.Get(name); got != want {
			t.Errorf("header %s of the request = %q, want %q", name, got, want)
		}
	}
}

func aRepeatedRequestHasOneResult(t *testing.T, s *system) {
	org := connected(t, s.client(t, nil).Scope("organization", "repeats"))
	count := org.Action("echo", "count").With(client.PublishOptions{ID: "once"})
	for range 3 {
		if got, err := client.Call[int](t.Context(), count, nil); err != nil || got != 1 {
			t.Errorf("count = %d, %v, want 1 each time", got, err)
		}
	}
	if data, err := count.Result(t.Context(), "once"); err != nil || string(data) != "1" {
		t.Errorf("result = %s, %v, want 1", data, err)
	}
	if _, err := count.Result(t.Context(), "never"); !errors.Is(err, client.ErrNoResult) {
		t.Errorf("result of a request that never was: %v, want ErrNoResult", err)
	}
}

func aCallThatIsGivenUpGoesOn(t *testing.T, s *system) {
	org := connected(t, s.client(t, nil).Scope("organization", "gives up"))
	results := make(chan *client.Event, 1)
	unsubscribe, err := org.On(t.Context(), client.Filter{Topic: client.Results}, func(_ context.Context, e *client.Event) error {
		results <- e
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unsubscribe()

	ctx, giveUp := context.WithCancel(t.Context())
	go func() {
		<-s.echo.held
		giveUp()
	}()
	_, err = org.Action("echo", "hold").Call(ctx, said{"later"})
	pending, ok := errors.AsType[*client.PendingError](err)
	// The executor can be faster than the ack, so whether it is Stored may not be known.
	if !ok || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), pending.ID) {
		t.Fatalf("error of a call given up = %v, want a request that goes on, and its id", err)
	}
	if _, err := org.Action("echo", "hold").Result(t.Context(), pending.ID); !errors.Is(err, client.ErrNoResult) {
		t.Errorf("result while the handler runs: %v, want ErrNoResult", err)
	}
	s.echo.letGo()
	if e := <-results; e.RequestID != pending.ID || e.Name != "hold" {
		t.Errorf("heard the result of %s %s, want of hold %s", e.Name, e.RequestID, pending.ID)
	}
	// What is heard live is heard a moment before the stream has it.
	data, err := org.Action("echo", "hold").Result(t.Context(), pending.ID)
	for errors.Is(err, client.ErrNoResult) {
		data, err = org.Action("echo", "hold").Result(t.Context(), pending.ID)
	}
	if err != nil || string(data) != `{"text":"later"}` {
		t.Errorf("result = %s, %v, want what the handler returned", data, err)
	}

	_, err = org.Action("echo", "say").Call(ctx, said{"hi"})
	if _, pending := errors.AsType[*client.PendingError](err); !errors.Is(err, context.Canceled) || pending {
		t.Errorf("call under a ctx that is over = %v, want its error, and nothing published", err)
	}
}

func TestRequestsThatNobodyCouldAnswerAreNotPublished(t *testing.T) {
	t.Parallel()
	c := newWorld(t).client(t, nil)
	long := strings.Repeat("x", 129)
	org := c.Scope("organization", "o")
	for name, refused := range map[string]struct {
		action *client.Action
		in     any
		code   connectors.Code
	}{
		"scope":     {c.Scope(long, "o").Action("echo", "say"), nil, connectors.CodeConnectorScopeInvalid},
		"identity":  {c.Scope("organization", long).Action("echo", "say"), nil, connectors.CodeConnectorScopeInvalid},
		"connector": {org.Action(long, "say"), nil, connectors.CodeConnectorNotFound},
		"action":    {org.Action("echo", long), nil, connectors.CodeConnectorActionNotFound},
		"account":   {org.Account(long).Action("echo", "say"), nil, connectors.CodeConnectorActionInputInvalid},
		"id":        {org.Action("echo", "say").With(client.PublishOptions{ID: long}), nil, connectors.CodeConnectorActionInputInvalid},
		"priority":  {org.Action("echo", "say").With(client.PublishOptions{Priority: "urgent"}), nil, connectors.CodeConnectorActionInputInvalid},
		"input":     {org.Action("echo", "say"), func() {}, connectors.CodeConnectorActionInputInvalid},
		"bad JSON":  {org.Action("echo", "say"), json.RawMessage(`{"text`), connectors.CodeConnectorActionInputInvalid},
		"too large": {org.Action("echo", "say"), said{strings.Repeat("x", 2<<20)}, connectors.CodeRequestTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := refused.action.Call(t.Context(), refused.in)
			wantCode(t, err, refused.code)
			if id, err := refused.action.Publish(t.Context(), refused.in, nil); err == nil {
				t.Errorf("published as %s, want an error", id)
			}
		})
	}
}
