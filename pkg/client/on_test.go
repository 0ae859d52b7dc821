package client_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/client"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// on subscribes until the test is over and returns what comes.
func on(t *testing.T, scope interface {
	On(context.Context, client.Filter, func(context.Context, *client.Event) error, *client.OnOptions) (func(), error)
}, f client.Filter, opts *client.OnOptions) <-chan *client.Event {
	t.Helper()
	heard := make(chan *client.Event, 1000)
	unsubscribe, err := scope.On(t.Context(), f, func(_ context.Context, e *client.Event) error {
		heard <- e
		return nil
	}, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unsubscribe)
	return heard
}

// next returns the next event; a test that waits too long is ended by its own
// deadline.
func next(t *testing.T, heard <-chan *client.Event) *client.Event {
	t.Helper()
	select {
	case e := <-heard:
		return e
	case <-t.Context().Done():
	case <-time.After(time.Minute):
	}
	t.Fatal("nothing was heard")
	return nil
}

func whatATenantHears(t *testing.T, s *system) {
	c := s.client(t, nil)
	org := c.Scope("organization", "o:evil")
	lifecycle := on(t, org, client.Filter{Connector: "echo"}, nil)
	results := on(t, org, client.Filter{Topic: client.Results}, nil)
	webhooks := on(t, org, client.Filter{Topic: client.Webhooks, Name: "thing.made"}, nil)
	everybodys := on(t, c, client.Filter{Name: "connector", Account: "shared"}, nil)
	sales := on(t, org, client.Filter{Topic: client.Results, Name: "say", Account: "sales"}, nil)

	conn, err := org.Connect(t.Context(), "echo", echoConfig{APIKey: secretText("k-0123456789"), WebhookSecret: secretText("sign")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := next(t, lifecycle)
	if e.Name != "connector.connected" || e.Tenant != (events.Tenant{Scope: "organization", Identity: "o:evil"}) || e.Connector != "echo" || e.Account != "default" || e.Attempt != 1 {
		t.Errorf("heard %+v, want connector.connected of the tenant", e)
	}
	// Another tenant's life is not heard.
	if _, err := connected(t, c.Scope("organization", "o")).Action("echo", "say").Call(t.Context(), said{"not yours"}); err != nil {
		t.Fatal(err)
	}

	id, err := org.Action("echo", "say").Publish(t.Context(), said{"hi"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	e = next(t, results)
	if data, err := e.Result(); err != nil || !strings.Contains(string(data), `"hi"`) || e.RequestID != id || e.Name != "say" {
		t.Errorf("heard the result %s, %v of %s %s, want that of say %s", data, err, e.Name, e.RequestID, id)
	}
	for _, want := range []string{"action.started", "action.completed"} {
		e = next(t, lifecycle)
		if details, err := e.Details(); err != nil || e.Name != want || details.Action != "say" || e.RequestID != id {
			t.Errorf("heard %s %+v of request %s, %v, want %s of request %s", e.Name, details, e.RequestID, err, want, id)
		}
	}
	if _, err := org.Action("echo", "refuse").Call(t.Context(), nil); err == nil {
		t.Error("refuse did not fail")
	}
	_, err = next(t, results).Result()
	wantCode(t, err, connectors.CodeConnectorActionFailed)

	post(t, conn.WebhookURL.Reveal(), "thing.made", `{"n": 1.0}`)
	e = next(t, webhooks)
	if string(e.Data()) != `{"n": 1.0}` || e.Name != "thing.made" || e.Header.Get("X-Event") != "thing.made" {
		t.Errorf("heard the webhook %s %q %v, want its bytes, type and headers", e.Name, e.Data(), e.Header)
	}
	if _, err := e.Result(); err == nil {
		t.Error("a webhook is a result")
	}

	if _, err := org.Account("sales").Connect(t.Context(), "echo", echoConfig{APIKey: secretText("k-0123456789")}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := org.Account("sales").Action("echo", "say").Call(t.Context(), said{"sold"}); err != nil {
		t.Fatal(err)
	}
	if e := next(t, sales); e.Account != "sales" {
		t.Errorf("of account sales heard %+v", e)
	}
	connected(t, c.Scope("organization", "o").Account("shared"))
	connected(t, c.Scope("user", "o").Account("shared"))
	for _, want := range []events.Tenant{{Scope: "organization", Identity: "o"}, {Scope: "user", Identity: "o"}} {
		if e := next(t, everybodys); e.Tenant != want || e.Name != "connector.connected" {
			t.Errorf("of everybody's events heard %s of %v, want connector.connected of %v", e.Name, e.Tenant, want)
		}
	}
}

func post(t *testing.T, url, eventType, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte("sign"))
	mac.Write([]byte(body))
	request.Header.Set("X-Signature", hex.EncodeToString(mac.Sum(nil)))
	request.Header.Set("X-Event", eventType)
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusAccepted {
		t.Fatalf("the webhook was answered %s", response.Status)
	}
}

func TestUnsubscribeWaitsForTheHandlerAndThenNothingIsHeard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	org := w.client(t, nil).Scope("organization", "o")
	began, release := make(chan struct{}), make(chan struct{})
	var ended, after atomic.Bool
	unsubscribe, err := org.On(t.Context(), client.Filter{}, func(context.Context, *client.Event) error {
		if after.Load() {
			t.Error("the handler ran after unsubscribe")
		}
		close(began)
		<-release
		ended.Store(true)
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.announce(t, events.ConnectorConnected, "o")
	<-began
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		unsubscribe()
	}()
	select {
	case <-gone:
		t.Error("unsubscribe returned while the handler ran")
	default:
	}
	close(release)
	<-gone
	if !ended.Load() {
		t.Error("unsubscribe returned while the handler ran")
	}
	after.Store(true)
	unsubscribe()
	w.announce(t, events.ConnectorConnected, "o")
	if err := w.nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

func TestHandlersRunInOrderUnlessAskedForMoreAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	org := w.client(t, nil).Scope("organization", "o")
	inOrder := on(t, org, client.Filter{Topic: client.Webhooks}, nil)
	var mu sync.Mutex
	running, most := 0, 0
	meet := make(chan struct{})
	unsubscribe, err := org.On(t.Context(), client.Filter{Topic: client.Webhooks}, func(context.Context, *client.Event) error {
		mu.Lock()
		running++
		most = max(most, running)
		if running == 3 {
			close(meet) // three are there at once
		}
		mu.Unlock()
		<-meet
		mu.Lock()
		running--
		mu.Unlock()
		return nil
	}, &client.OnOptions{Concurrency: 3})
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for range 3 {
		want = append(want, w.webhook(t, "o", "x"))
	}
	for range 3 {
		got = append(got, next(t, inOrder).ID())
	}
	if !slices.Equal(got, want) {
		t.Errorf("heard %v, want the order of publishing, %v", got, want)
	}
	<-meet
	unsubscribe()
	if most != 3 {
		t.Errorf("%d handlers ran at once, want 3", most)
	}
}

func TestWhatGoesWrongIsToldAndStopsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	errs := make(chan error, 10)
	c := w.client(t, &client.Options{OnError: func(err error) { errs <- err }})
	calls := 0
	heard := make(chan string, 1)
	boom := errors.New("boom")
	unsubscribe, err := c.Scope("organization", "o").On(t.Context(), client.Filter{Topic: client.Results}, func(_ context.Context, e *client.Event) error {
		switch calls++; calls {
		case 1:
			return boom
		case 2:
			panic("a secret thing")
		}
		heard <- e.ID()
		return nil
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unsubscribe()
	if err := w.nc.Publish("hawser.result.organization.o.echo.say.1", []byte("garbage")); err != nil {
		t.Fatal(err)
	}
	if err := <-errs; !errors.Is(err, events.ErrNotCloudEvent) {
		t.Errorf("garbage: OnError got %v", err)
	}
	w.result(t, "o", "1", events.ConnectorConnected) // an event, but not a result
	if err := <-errs; !strings.Contains(err.Error(), "not a result") {
		t.Errorf("an event that is not a result: OnError got %v", err)
	}
	w.result(t, "o", "2", events.ActionCompleted)
	if err := <-errs; !errors.Is(err, boom) {
		t.Errorf("a handler's error: OnError got %v", err)
	}
	w.result(t, "o", "3", events.ActionCompleted)
	if err := <-errs; !errors.Is(err, events.ErrPanic) || strings.Contains(err.Error(), "a secret thing") || !strings.Contains(err.Error(), "on_test.go") {
		t.Errorf("a handler's panic: OnError got %v, want its position, and not its value", err)
	}
	want := w.result(t, "o", "4", events.ActionCompleted)
	if got := <-heard; got != want {
		t.Errorf("heard %s, want %s", got, want)
	}
}

func TestASubscriptionEndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	heard := make(chan struct{}, 1)
	unsubscribe, err := w.client(t, nil).On(ctx, client.Filter{}, func(ctx context.Context, _ *client.Event) error {
		stop()
		heard <- struct{}{}
		return context.Cause(ctx)
	}, &client.OnOptions{OnError: func(err error) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("OnError got %v, want the end of the handler's ctx", err)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.announce(t, events.ConnectorConnected, "o")
	<-heard
	unsubscribe()
	w.announce(t, events.ConnectorConnected, "o")
	if err := w.nc.Flush(); err != nil || len(heard) != 0 {
		t.Errorf("heard %d events after the end of the ctx, %v", len(heard), err)
	}
}

func TestFiltersThatMeanNothingAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.client(t, nil)
	if _, err := c.On(t.Context(), client.Filter{Topic: "weather"}, nil, nil); err == nil {
		t.Error("listening to an unknown topic is no error")
	}
	_, err := c.Scope("organization", strings.Repeat("x", 129)).On(t.Context(), client.Filter{}, nil, nil)
	wantCode(t, err, connectors.CodeConnectorScopeInvalid)
}
