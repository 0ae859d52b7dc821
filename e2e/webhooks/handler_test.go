package webhooks_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
)

// soon keeps tests from waiting out the backoff.
func soon(err error) error { return connectors.RetryAfter(10*time.Millisecond, err) }

func withHandler(attempts int, handle connectors.WebhookHandler) connectors.Connector {
	c := probe()
	c.Webhook.Handler, c.Webhook.MaxAttempts = handle, attempts
	return c
}

func TestAHandlerThatFailsTwiceIsTriedAThirdTime(t *testing.T) {
	t.Parallel()
	var calls count
	seen := make(chan *connectors.Delivery, 10)
	s := newSite(t, siteOptions{}, withHandler(0, func(_ context.Context, call *connectors.Call, d *connectors.Delivery) error {
		if n := calls.Add(1); n < 3 {
			return soon(errors.New("not yet"))
		}
		seen <- d
		return nil
	}))
	c := s.connect("org_1", secretConfig)
	const body = `{"n":1}`
	s.send(0, "POST", c.WebhookURL, body, signed(signingSecret, body, "evt_1", time.Now()))
	s.eventually("the webhook is processed", func() bool {
		return len(s.messages(events.Lifecycle, "hawser.event.*.*.*.webhook.processed")) == 1
	})
	d := <-seen
	if string(d.Body) != body || d.ProviderID != "evt_1" || d.Type != "order.created" || d.Header.Get("X-Event") != "order.created" {
		t.Errorf("the handler got %+v", d)
	}
	if got := len(s.messages(events.Lifecycle, "hawser.event.*.*.*.webhook.received")); got != 1 {
		t.Errorf("webhook.received was announced %d times, want once", got)
	}
	if calls.Load() != 3 {
		t.Errorf("the handler ran %d times, want 3", calls.Load())
	}
}

// What the connector's Context makes is made anew for each attempt, with the
// connection's credentials, and its failures are the attempt's.
func TestAHandlerGetsWhatContextHasMade(t *testing.T) {
	t.Parallel()
	type session struct{ Team, Webhook string }
	var made, calls count
	c := withHandler(0, func(_ context.Context, call *connectors.Call, d *connectors.Delivery) error {
		calls.Add(1)
		s, ok := call.Context.(*session)
		if !ok || s.Team != "T1" || s.Webhook != d.ID || call.Identity != "org_1" || call.IdempotencyKey != d.ID || call.HTTP == nil {
			t.Errorf("the handler got %+v with the context %+v", call, call.Context)
		}
		if call.Attempt < 4 {
			return soon(errors.New("not yet"))
		}
		return nil
	})
	c.Context = func(_ context.Context, call *connectors.Call) (any, error) {
		switch n := made.Add(1); {
		case n == 1:
			return nil, soon(errors.New("the provider does not answer"))
		case n == 2:
			panic("canary-context")
		}
		config, err := connectors.ConfigAs[probeConfig](call)
		return &session{Team: config.Team, Webhook: call.RequestID}, err
	}
	s := newSite(t, siteOptions{}, c)
	conn := s.connect("org_1", `{"webhookSecret":"`+signingSecret+`","team":"T1"}`)
	const body = `{"n":1}`
	s.send(0, "POST", conn.WebhookURL, body, signed(signingSecret, body, "evt_1", time.Now()))
	s.eventually("the webhook is processed", func() bool {
		return len(s.messages(events.Lifecycle, "hawser.event.*.*.*.webhook.processed")) == 1
	})
	if made.Load() != 4 || calls.Load() != 2 {
		t.Errorf("the context was made %d times for %d calls, want 4 and 2", made.Load(), calls.Load())
	}
	if all := s.everything(); strings.Contains(all, "canary-context") {
		t.Error("what Context threw is written down")
	}
}

func TestAContextThatFailsForGoodIsTheWebhooksFailure(t *testing.T) {
	t.Parallel()
	c := withHandler(0, func(context.Context, *connectors.Call, *connectors.Delivery) error {
		t.Error("the handler ran without its context")
		return nil
	})
	c.Context = func(context.Context, *connectors.Call) (any, error) {
		return nil, connectors.Permanent(errors.New("no such team"))
	}
	s := newSite(t, siteOptions{}, c)
	conn := s.connect("org_1", secretConfig)
	s.send(0, "POST", conn.WebhookURL, `{}`, signed(signingSecret, `{}`, "evt_1", time.Now()))
	s.eventually("the webhook has failed", func() bool {
		return len(s.messages(events.Lifecycle, "hawser.event.*.*.*.webhook.failed")) == 1 && len(s.messages(queue.Dead, ">")) == 1
	})
}

func TestAWebhookThatIsGivenUpOnCanBeRedriven(t *testing.T) {
	t.Parallel()
	var calls count
	s := newSite(t, siteOptions{}, withHandler(2, func(context.Context, *connectors.Call, *connectors.Delivery) error {
		if calls.Add(1) <= 2 {
			panic("canary-panic")
		}
		return nil
	}))
	c := s.connect("org_1", secretConfig)
	const body = `{"n":1}`
	s.send(0, "POST", c.WebhookURL, body, signed(signingSecret, body, "evt_1", time.Now()))
	var letters struct {
		Items []struct {
			ID, Kind, Connector, Name, Reason string
			Attempts                          int
		}
	}
	s.eventually("the webhook is dead", func() bool {
		s.api("GET", "/dead-letters?kind=webhook&connector=probe", "", http.StatusOK, &letters)
		return len(letters.Items) == 1
	})
	if l := letters.Items[0]; l.Attempts != 2 || l.Name != "order=2Ecreated" || l.Reason != "CONNECTOR_ACTION_FAILED" {
		t.Errorf("the dead letter says %+v", l)
	}
	failed := func() int { return len(s.messages(events.Lifecycle, "hawser.event.*.*.*.webhook.failed")) }
	s.eventually("webhook.failed", func() bool { return failed() == 1 })
	s.api("POST", "/dead-letters/"+letters.Items[0].ID+"/redrive", "", http.StatusOK, nil)
	s.eventually("the webhook is processed", func() bool {
		return len(s.messages(events.Lifecycle, "hawser.event.*.*.*.webhook.processed")) == 1
	})
	s.api("GET", "/dead-letters", "", http.StatusOK, &letters)
	if len(letters.Items) != 0 {
		t.Errorf("the dead letter is still there: %+v", letters.Items)
	}
	s.acted("webhook.redriven", "dead-letters.redrive", 1)
}

func TestADisabledConnectionsWebhooksWaitInQuarantine(t *testing.T) {
	t.Parallel()
	var calls count
	s := newSite(t, siteOptions{}, withHandler(0, func(context.Context, *connectors.Call, *connectors.Delivery) error {
		calls.Add(1)
		return nil
	}))
	c := s.connect("org_1", secretConfig)
	s.api("POST", "/scopes/organization/org_1/connections/probe/toggle", "", http.StatusOK, nil)
	const body = `{"canary":"payload-88"}`
	for n, want := range []int{http.StatusAccepted, http.StatusOK} {
		if a := s.send(0, "POST", c.WebhookURL, body, signed(signingSecret, body, "evt_1", time.Now())); a.status != want || !a.quarantined() {
			t.Fatalf("delivery %d got %d %s, want %d", n, a.status, a.body, want)
		}
	}
	item := s.quarantine(1)[0]
	if item.Reason != "disabled" || !item.Redrivable || item.ConnectionID != c.ID {
		t.Errorf("the evidence says %+v", item)
	}
	for _, m := range s.messages(events.Quarantine, ">") {
		if strings.Contains(string(m.Data), "payload-88") {
			t.Error("the payload lies in the clear in quarantine")
		}
	}
	s.api("POST", "/quarantine/"+item.ID+"/redrive", "", http.StatusConflict, nil)
	s.api("POST", "/scopes/organization/org_1/connections/probe/toggle", "", http.StatusOK, nil)
	s.api("POST", "/quarantine/"+item.ID+"/redrive", "", http.StatusOK, nil)
	s.eventually("the handler ran", func() bool { return calls.Load() == 1 })
	s.quarantine(0)
}

type evidence struct {
	ID, Reason, Detail, Code, Method, Path string
	ConnectionID                           string   `json:"connection_id"`
	HeaderNames                            []string `json:"header_names"`
	BodySHA256                             string   `json:"body_sha256"`
	SkewMs                                 int64    `json:"skew_ms"`
	ProviderAccounts                       []string `json:"provider_accounts"`
	Redrivable                             bool
}

// quarantine lists it, and wants n entries.
func (s *site) quarantine(n int) []evidence {
	s.t.Helper()
	var list struct{ Items []evidence }
	s.api("GET", "/quarantine?connector=probe", "", http.StatusOK, &list)
	if len(list.Items) != n {
		s.t.Fatalf("the quarantine lists %+v, want %d entries", list.Items, n)
	}
	return list.Items
}

func TestASecretThatWasFixedLetsTheDeliveryIn(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{}, probe())
	c := s.connect("org_1", `{"webhookSecret":"mistyped"}`)
	const body = `{"n":1}`
	// Ten minutes old when it is redriven would be stale; when it came, it was not.
	if a := s.send(0, "POST", c.WebhookURL, body, signed(signingSecret, body, "evt_1", time.Now())); a.status != http.StatusUnauthorized {
		t.Fatalf("got %d %s, want 401", a.status, a.body)
	}
	item := s.quarantine(1)[0]
	if item.Reason != "signature" || item.Detail != "bad_signature" || !item.Redrivable || strings.Contains(item.Path, c.WebhookURL[len(c.WebhookURL)-32:]) {
		t.Errorf("the evidence says %+v", item)
	}
	s.api("POST", "/quarantine/"+item.ID+"/redrive", "", http.StatusUnauthorized, nil)
	s.api("PATCH", "/scopes/organization/org_1/connections/probe", `{"config":`+secretConfig+`}`, http.StatusOK, nil)
	s.api("POST", "/quarantine/"+item.ID+"/redrive", "", http.StatusOK, nil)
	if got := s.messages(events.Webhooks, ">"); len(got) != 1 || string(got[0].Data) != body {
		t.Errorf("the stream holds %d events, want the delivery", len(got))
	}
	s.acted("webhook.redriven", "quarantine.redrive", 1)
	s.acted("connector.updated", "", 1)
	s.quarantine(0)
}

func TestAStaleDeliveryLeavesEvidenceWithItsSkewAndNoBody(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{noExecutor: true}, probe())
	c := s.connect("org_1", secretConfig)
	s.send(0, "POST", c.WebhookURL, `{}`, signed(signingSecret, `{}`, "evt_1", time.Now().Add(-time.Hour)))
	item := s.quarantine(1)[0]
	if item.Reason != "stale" || item.Redrivable || item.SkewMs < 3599_000 || item.SkewMs > 3660_000 || len(item.BodySHA256) != 64 {
		t.Errorf("the evidence says %+v", item)
	}
	s.api("POST", "/quarantine/"+item.ID+"/redrive", "", http.StatusBadRequest, nil)
	s.api("POST", "/quarantine/999/redrive", "", http.StatusNotFound, nil)
}

func TestAPayloadIsHeldAgainstTheSchemaBeforeItIsStored(t *testing.T) {
	t.Parallel()
	type payload struct {
		Order string `json:"order"`
		Items int    `json:"items"`
	}
	c := probe()
	c.Webhook.Schema = schema.For[payload]()
	s := newSite(t, siteOptions{noExecutor: true}, c)
	conn := s.connect("org_1", secretConfig)
	a := s.send(0, "POST", conn.WebhookURL, `{"items":"canary-many"}`, signed(signingSecret, `{"items":"canary-many"}`, "evt_1", time.Now()))
	if a.status != http.StatusBadRequest || !strings.Contains(a.body, "CONNECTOR_WEBHOOK_VALIDATION_FAILED") || !strings.Contains(a.body, `"order"`) || strings.Contains(a.body, "canary") {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if item := s.quarantine(1)[0]; item.Reason != "schema" || !item.Redrivable {
		t.Errorf("the evidence says %+v", item)
	}
	const good = `{"order":"a","items":2}`
	if a := s.send(0, "POST", conn.WebhookURL, good, signed(signingSecret, good, "evt_2", time.Now())); a.status != http.StatusAccepted {
		t.Errorf("got %d %s, want 202", a.status, a.body)
	}
}
