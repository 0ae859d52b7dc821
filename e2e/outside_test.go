package e2e_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// inbox collects what is published on a subject.
type inbox struct {
	t   *testing.T
	sub *nats.Subscription
}

func listen(t *testing.T, nc *nats.Conn, subject string) *inbox {
	t.Helper()
	sub, err := nc.SubscribeSync(subject)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.FlushTimeout(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	return &inbox{t, sub}
}

func (i *inbox) next() *nats.Msg {
	i.t.Helper()
	msg, err := i.sub.NextMsg(20 * time.Second)
	if err != nil {
		i.t.Fatalf("nothing on %s: %v", i.sub.Subject, err)
	}
	return msg
}

// empty fails if anything came, or comes before marker does: nothing is waited
// for in vain.
func (i *inbox) empty(after time.Duration) {
	i.t.Helper()
	if msg, err := i.sub.NextMsg(after); err == nil {
		i.t.Errorf("got a message on %s, want none", msg.Subject)
	}
}

// sign makes a webhook of the demo scheme.
func sign(body, key string, at time.Time) []string {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(timestamp + "." + body))
	return []string{"Content-Type", "application/json", "X-Demo-Timestamp", timestamp, "X-Demo-Signature", "sha256=" + hex.EncodeToString(mac.Sum(nil))}
}

func TestFromOutsideWithStockTools(t *testing.T) {
	t.Parallel()
	h := up(t)
	nc := h.connect()
	results := listen(t, nc, "hawser.result.organization.org_1.>")
	events := listen(t, nc, "hawser.event.organization.org_1.>")
	webhooks := listen(t, nc, "hawser.webhook.organization.org_1.>")

	c := h.connectDemo("organization/org_1")
	if kind := events.next().Header.Get("ce-type"); kind != "hawser.connector.connected" {
		t.Errorf("the first event is %s, want hawser.connector.connected", kind)
	}

	t.Run("a plain publish gets exactly one result and its events", func(t *testing.T) {
		if err := nc.Publish("hawser.action.organization.org_1.demo-key.postMessage", []byte(`{"text":"hi"}`)); err != nil {
			t.Fatal(err)
		}
		result := results.next()
		if got := result.Header.Get("ce-type"); got != "hawser.action.completed" || !strings.Contains(string(result.Data), `"text":"hi"`) {
			t.Errorf("result %s %s", got, result.Data)
		}
		for _, want := range []string{"hawser.action.started", "hawser.action.completed"} {
			e := events.next()
			if e.Header.Get("ce-type") != want || e.Header.Get("ce-hawserrequest") != result.Header.Get("ce-hawserrequest") {
				t.Errorf("event %v, want %s of the same request", e.Header, want)
			}
		}
		results.empty(200 * time.Millisecond)
	})

	t.Run("a structured CloudEvent with an id runs once, however often it is sent", func(t *testing.T) {
		msg := nats.NewMsg("hawser.action.organization.org_1.demo-key.postMessage")
		msg.Header.Set("Content-Type", "application/cloudevents+json")
		msg.Data = []byte(`{"specversion":"1.0","id":"order-7","source":"/test","type":"x","datacontenttype":"application/json","data":{"text":"once"},"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}`)
		if err := nc.PublishMsg(msg); err != nil {
			t.Fatal(err)
		}
		result := results.next()
		if !strings.HasSuffix(result.Subject, ".order-7") || !strings.Contains(result.Header.Get("ce-traceparent"), "4bf92f3577b34da6a3ce929d0e0e4736") {
			t.Errorf("result on %s with trace %s", result.Subject, result.Header.Get("ce-traceparent"))
		}
		time.Sleep(150 * time.Millisecond) // leave the stream's own window, so that the executor has to tell
		if err := nc.PublishMsg(msg); err != nil {
			t.Fatal(err)
		}
		results.empty(500 * time.Millisecond)
	})

	t.Run("a signed webhook arrives with its exact bytes", func(t *testing.T) {
		body := "{ \"text\" : \"exact\\u0020bytes\" }\n"
		a, err := send(t.Context(), "POST", c.WebhookURL, body, append(sign(body, signingSecret, time.Now()), "X-Demo-Event", "message.created", "X-Demo-Delivery", "d-1")...)
		if err != nil || a.status != http.StatusAccepted {
			t.Fatalf("got %d %s %v, want 202", a.status, a.body, err)
		}
		msg := webhooks.next()
		if string(msg.Data) != body || !strings.HasPrefix(msg.Subject, "hawser.webhook.organization.org_1.demo-key.message=2Ecreated.") || msg.Header.Get("X-Demo-Event") != "message.created" {
			t.Errorf("got %q on %s with %v", msg.Data, msg.Subject, msg.Header)
		}
		again, err := send(t.Context(), "POST", c.WebhookURL, body, append(sign(body, signingSecret, time.Now()), "X-Demo-Event", "message.created", "X-Demo-Delivery", "d-1")...)
		if err != nil || again.status != http.StatusOK {
			t.Errorf("the same delivery got %d %v, want 200", again.status, err)
		}
		if n := stored(t, nc, "HAWSER_WEBHOOKS", "hawser.webhook.organization.org_1.>"); n != 1 {
			t.Errorf("the stream holds %d events of one delivery, want 1", n)
		}
	})

	t.Run("request-reply answers", func(t *testing.T) {
		reply, err := nc.Request("hawser.call.organization.org_1.demo-key.postMessage", []byte(`{"text":"call"}`), 20*time.Second)
		if err != nil || !strings.Contains(string(reply.Data), `"text":"call"`) {
			t.Errorf("hawser.call: %v %v", reply, err)
		}
		reply, err = nc.Request("hawser.api.connections.list", []byte(`{"scope":"organization","identity":"org_1"}`), 20*time.Second)
		if err != nil || !strings.Contains(string(reply.Data), c.ID) {
			t.Errorf("hawser.api.connections.list: %v %v", reply, err)
		}
		reply, err = nc.Request("hawser.api.connections.get", []byte(`{"scope":"organization","identity":"nobody","connector":"demo-key"}`), 20*time.Second)
		if err != nil || reply.Header.Get("Nats-Service-Error-Code") != "CONNECTOR_NOT_CONNECTED" {
			t.Errorf("hawser.api.connections.get of nobody: %v %v", reply, err)
		}
	})

	t.Run("a request for a connector that nobody serves is answered", func(t *testing.T) {
		if err := nc.Publish("hawser.action.organization.org_1.nosuch.do", []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
		for {
			result := results.next()
			if strings.Contains(result.Subject, ".nosuch.") {
				if !strings.Contains(string(result.Data), "CONNECTOR_NOT_FOUND") {
					t.Errorf("got %s, want CONNECTOR_NOT_FOUND", result.Data)
				}
				return
			}
		}
	})
}

func TestTheDemoStoryPlays(t *testing.T) {
	t.Parallel()
	h := up(t)
	out := run(t, "hawser", "demo", "--url", h.http, "--nats-url", h.nats, "--provider", h.demo, "--data", h.data)
	if !strings.Contains(out, "disconnect") || strings.Contains(out, "FAILED") {
		t.Errorf("hawser demo printed:\n%s", out)
	}
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	if out := run(t, "hawser", "help"); !strings.Contains(out, "creds tenant") {
		t.Errorf("hawser help printed:\n%s", out)
	}
	if out := run(t, "hawser", "version"); !strings.HasPrefix(out, "hawser ") {
		t.Errorf("hawser version printed %q", out)
	}
}
