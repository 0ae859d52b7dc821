package webhooks_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestAReplayIsANewEventEveryTime(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{}, probe())
	c := s.connect("org_1", secretConfig)
	began := time.Now().UTC()
	for n := range 3 {
		body := fmt.Sprintf(`{"n":%d}`, n)
		s.send(0, "POST", c.WebhookURL, body, signed(signingSecret, body, fmt.Sprintf("evt_%d", n), time.Now()))
	}
	stored := s.messages(events.Webhooks, ">")
	id := stored[1].Header.Get("ce-id")
	for range 2 {
		var r struct{ ID, ReplayOf string }
		s.api("POST", "/webhooks/"+id+"/replay", "", http.StatusOK, &r)
		if r.ID == id || r.ReplayOf != id {
			t.Errorf("the replay says %+v", r)
		}
	}
	stored = s.messages(events.Webhooks, ">")
	if len(stored) != 5 {
		t.Fatalf("the stream holds %d events, want 5", len(stored))
	}
	for _, m := range stored[3:] {
		if m.Header.Get("ce-replayof") != id || string(m.Data) != `{"n":1}` || m.Header.Get("ce-hawserdelivery") != "evt_1" {
			t.Errorf("the replay is %v %s", m.Header, m.Data)
		}
	}
	var r struct {
		Webhooks []struct{ ID, ReplayOf string }
	}
	s.api("POST", "/scopes/organization/org_1/connections/probe/replay", `{"since":"`+began.Add(-time.Minute).Format(time.RFC3339)+`"}`, http.StatusOK, &r)
	if len(r.Webhooks) != 3 {
		t.Errorf("the time range replayed %+v, want the three deliveries and no replays", r.Webhooks)
	}
	s.api("POST", "/webhooks/"+events.NewID()+"/replay", "", http.StatusNotFound, nil)
	s.api("POST", "/webhooks/nonsense/replay", "", http.StatusNotFound, nil)
	s.acted("webhook.replayed", "webhooks.replay", 5)
}

// acted wants so many events about an operator's act, which say who it was.
func (s *site) acted(kind, operation string, want int) {
	s.t.Helper()
	all := s.messages(events.Lifecycle, "hawser.event.*.*.*."+kind)
	for _, m := range all {
		e, err := events.Decode(m.Header, m.Data)
		must(s.t, err)
		var data struct{ Operation string }
		must(s.t, json.Unmarshal(m.Data, &data))
		if data.Operation != operation || events.Extension(e, events.ExtActor) != tokenName || strings.Contains(string(m.Data)+fmt.Sprint(m.Header), s.token.Reveal()) {
			s.t.Errorf("%s says %s, want the operation %s by %q", kind, m.Data, operation, tokenName)
		}
	}
	if len(all) != want {
		s.t.Errorf("%s was announced %d times, want %d", kind, len(all), want)
	}
}

func TestALargeBodyIsOneEventWithAClaimCheck(t *testing.T) {
	t.Parallel()
	got := make(chan [32]byte, 2)
	probe := withHandler(0, func(_ context.Context, _ *connectors.Call, d *connectors.Delivery) error {
		got <- sha256.Sum256(d.Body)
		return nil
	})
	probe.Webhook.MaxBody = webhooks.LargestMaxBody
	s := newSite(t, siteOptions{}, probe)
	c := s.connect("org_1", secretConfig)
	body := strings.Repeat("0123456789abcdef", webhooks.LargestMaxBody/16)
	for n, want := range []int{http.StatusAccepted, http.StatusOK} {
		if a := s.send(0, "POST", c.WebhookURL, body, signed(signingSecret, body, "evt_1", time.Now())); a.status != want {
			t.Fatalf("copy %d got %d %s, want %d", n, a.status, a.body, want)
		}
	}
	stored := s.messages(events.Webhooks, ">")
	if len(stored) != 1 || len(stored[0].Data) != 0 || stored[0].Header.Get("ce-dataref") == "" {
		t.Fatalf("the stream holds %d events, want one with a claim check", len(stored))
	}
	select {
	case sum := <-got:
		if sum != sha256.Sum256([]byte(body)) {
			t.Error("the handler got other bytes")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the handler did not run")
	}
	if a := s.send(0, "POST", c.WebhookURL, body+"!", signed(signingSecret, body+"!", "evt_2", time.Now())); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("one byte more got %d, want 413", a.status)
	}
	objects, err := s.js.Stream(t.Context(), "OBJ_hawser-bodies")
	must(t, err)
	webhooks, err := s.js.Stream(t.Context(), s.Bus.Subjects.StreamName(events.Webhooks))
	must(t, err)
	if o, w := objects.CachedInfo().Config.MaxAge, webhooks.CachedInfo().Config.MaxAge; o < w || o > w+2*time.Hour {
		t.Errorf("bodies are kept for %v, and events for %v", o, w)
	}
}

// The default limit to the byte: what fits is stored whole, one more is 413.
func TestABodyOfExactlyTheLimitIsStored(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{noExecutor: true}, probe())
	c := s.connect("org_1", secretConfig)
	body := strings.Repeat("x", webhooks.DefaultMaxBody)
	if a := s.send(0, "POST", c.WebhookURL, body, signed(signingSecret, body, "evt_1", time.Now())); a.status != http.StatusAccepted {
		t.Errorf("got %d %s, want 202", a.status, a.body)
	}
	body += "x"
	if a := s.send(0, "POST", c.WebhookURL, body, signed(signingSecret, body, "evt_2", time.Now())); a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d, want 413", a.status)
	}
}
