package webhooks_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/events"
)

const ofOrg1 = "/scopes/organization/org_1/connections/probe"

// everything is all that anybody could read: every message of every stream, and
// so every bucket, what is logged, and the metrics.
func (s *site) everything() string {
	s.t.Helper()
	var all strings.Builder
	names := s.js.StreamNames(s.t.Context())
	for name := range names.Name() {
		stream, err := s.js.Stream(s.t.Context(), name)
		must(s.t, err)
		for seq := uint64(1); ; seq++ {
			msg, err := stream.GetMsg(s.t.Context(), seq, jetstream.WithGetMsgSubject(">"))
			if err != nil {
				break
			}
			fmt.Fprintln(&all, name, msg.Subject, msg.Header, string(msg.Data))
			seq = msg.Sequence
		}
	}
	must(s.t, names.Err())
	families, err := s.Metrics.Gather()
	must(s.t, err)
	for _, f := range families {
		fmt.Fprintln(&all, f.String())
	}
	return all.String() + s.Log.String()
}

func segment(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }

// The provider gets the new secret at one time and signs with it at a later one;
// what it signed before it repeats as it was.
func TestBothSecretsVerifyWhileAProviderRotatesItsOwn(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{ingresses: 2, noExecutor: true}, probe())
	c := s.connect("org_1", `{"webhookSecret":"canary-old"}`)
	n := 0
	deliver := func(front int, secret string) int {
		n++
		body := fmt.Sprintf(`{"n":%d}`, n)
		return s.send(front, "POST", c.WebhookURL, body, signed(secret, body, fmt.Sprintf("evt_%d", n), time.Now())).status
	}
	want := func(secret string, status int) {
		t.Helper()
		for front := range 2 {
			s.eventually(fmt.Sprintf("ingress %d answers %d to %s", front, status, secret), func() bool { return deliver(front, secret) == status })
		}
	}
	want("canary-old", http.StatusAccepted)
	want("canary-new", http.StatusUnauthorized)
	s.api("PATCH", ofOrg1, `{"config":{"webhookSecret":"canary-new"}}`, http.StatusOK, nil)
	want("canary-new", http.StatusAccepted)
	for range 10 {
		for _, secret := range []string{"canary-old", "canary-new"} {
			for front := range 2 {
				if status := deliver(front, secret); status != http.StatusAccepted {
					t.Errorf("in the overlap ingress %d answers %d to %s", front, status, secret)
				}
			}
		}
	}
	want("canary-other", http.StatusUnauthorized)
	// A short grace ends by itself, and 0s at once.
	s.api("PATCH", ofOrg1, `{"config":{"webhookSecret":"canary-third"},"secret_grace":"0s"}`, http.StatusOK, nil)
	want("canary-third", http.StatusAccepted)
	want("canary-old", http.StatusUnauthorized)
	want("canary-new", http.StatusUnauthorized)
	s.api("PATCH", ofOrg1, `{"config":{"webhookSecret":"canary-fourth"},"secret_grace":"2s"}`, http.StatusOK, nil)
	want("canary-fourth", http.StatusAccepted)
	if status := deliver(0, "canary-third"); status != http.StatusAccepted {
		t.Errorf("within its grace a secret got %d", status)
	}
	want("canary-third", http.StatusUnauthorized)
	for _, bad := range []string{"-1s", "1y", "169h", "24"} {
		a := s.api("PATCH", ofOrg1, `{"config":{"webhookSecret":"x"},"secret_grace":"`+bad+`"}`, http.StatusBadRequest, nil)
		if !strings.Contains(a.body, `"secret_grace"`) {
			t.Errorf("%s is answered %s", bad, a.body)
		}
	}
	if strings.Contains(s.everything(), "canary-") {
		t.Error("a secret lies in the clear")
	}
}

func TestSecretsThatCouldNeverVerifyAreRefusedWhenTheyAreConfigured(t *testing.T) {
	t.Parallel()
	svix := probe()
	svix.Webhook.Verify[0].Key = webhooks.Key{Prefix: "whsec_", Encoding: webhooks.EncodingBase64}
	s := newSite(t, siteOptions{noExecutor: true}, svix)
	for _, secret := range []string{"", " ", "000000", "whsec_", "whsec_canary!", "whsec_AAAAAAAA", " whsec_c2VjcmV0"} {
		a := s.api("PUT", ofOrg1, `{"config":{"webhookSecret":"`+secret+`"}}`, http.StatusBadRequest, nil)
		if !strings.Contains(a.body, "CONNECTOR_CONFIG_INVALID") || !strings.Contains(a.body, `"webhookSecret"`) || strings.Contains(a.body, "canary") {
			t.Errorf("%q is answered %s", secret, a.body)
		}
	}
	s.connect("org_1", `{"webhookSecret":"whsec_MDEyMzQ1Njc4OWFiY2RlZg=="}`)
	s.api("PATCH", ofOrg1, `{"config":{"webhookSecret":""}}`, http.StatusBadRequest, nil)
}

// Both URLs lead to the connection for the grace time, and neither secret is
// anywhere in what the system writes, whatever becomes of the deliveries.
func TestBothURLsWorkAfterARotationAndNeitherIsWrittenAnywhere(t *testing.T) {
	t.Parallel()
	failing := withHandler(1, func(_ context.Context, _ *connectors.Call, d *connectors.Delivery) error {
		if strings.Contains(string(d.Body), "bad") {
			return connectors.Permanent(errors.New("no"))
		}
		return nil
	})
	s := newSite(t, siteOptions{ingresses: 2}, failing)
	c := s.connect("org_1", secretConfig)
	var rotated struct {
		WebhookURL string    `json:"webhook_url"`
		Until      time.Time `json:"previous_webhook_url_until"`
	}
	s.api("POST", ofOrg1+"/rotate-webhook", "", http.StatusOK, &rotated)
	if rotated.WebhookURL == c.WebhookURL || time.Until(rotated.Until) < 23*time.Hour {
		t.Fatalf("the rotation says %+v", rotated)
	}
	urls := []string{c.WebhookURL, rotated.WebhookURL}
	for n, url := range urls {
		for front := range 2 {
			id := fmt.Sprintf("evt_%d_%d", n, front)
			send := func(body string, change func(http.Header), want int) {
				t.Helper()
				h := signed(signingSecret, body, id+body, time.Now())
				// What proxies add, and tracing.
				h["X-Original-Uri"], h["X-Forwarded-Uri"] = []string{url}, []string{url[len(baseURL):]}
				h["Traceparent"] = []string{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
				change(h)
				if a := s.send(front, "POST", url+"?x=1", body, h); a.status != want || strings.Contains(a.body+fmt.Sprint(a.header), segment(url)) {
					t.Errorf("%s at ingress %d: got %d %s", id, front, a.status, a.body)
				}
			}
			same := func(http.Header) {}
			send(`{"n":1}`, same, http.StatusAccepted)
			send(`{"n":1}`, same, http.StatusOK)
			send(`{"bad":1}`, same, http.StatusAccepted)
			send(`{"n":2}`, func(h http.Header) { h["X-Signature"] = []string{"sha256=00"} }, http.StatusUnauthorized)
			send(`{"n":3}`, func(h http.Header) { h["X-Timestamp"] = []string{"1"} }, http.StatusUnauthorized)
			s.send(front, "PUT", url, "{}", nil)
			s.send(front, "POST", url+"/more", "{}", nil)
		}
	}
	s.eventually("all is handled", func() bool {
		return len(s.messages(events.Lifecycle, "hawser.event.*.*.*.webhook.failed")) == 4 && len(s.messages(events.Lifecycle, "hawser.event.*.*.*.webhook.processed")) == 4
	})
	s.eventually("refusals are published", func() bool {
		return len(s.messages(events.Lifecycle, "hawser.event.*.*.*.webhook.rejected")) == 8 && len(s.messages(events.Quarantine, ">")) == 8
	})
	s.api("POST", ofOrg1+"/toggle", "", http.StatusOK, nil)
	s.eventually("a disabled connection's deliveries are parked", func() bool {
		return s.send(0, "POST", urls[0], `{}`, signed(signingSecret, `{}`, events.NewID(), time.Now())).quarantined()
	})
	for _, list := range []string{"/quarantine", "/dead-letters", ofOrg1} {
		if a := s.api("GET", list, "", http.StatusOK, nil); strings.Contains(a.body, segment(urls[0])) || strings.Contains(a.body, segment(urls[1])) {
			t.Errorf("GET %s shows the URL: %s", list, a.body)
		}
	}
	all := s.everything()
	for _, what := range []string{"/connectors/probe/webhook/***", "hawser_webhooks_total", "webhook.failed", `"message":"http"`, "ce-traceparent:[00-0af7651916cd43dd8448eb211c80319c"} {
		if !strings.Contains(all, what) {
			t.Errorf("the test did not look where %s is", what)
		}
	}
	for n, url := range urls {
		if at := strings.Index(all, segment(url)); at >= 0 {
			t.Errorf("the secret of URL %d is written down: …%s", n, all[max(0, at-300):min(len(all), at+60)])
		}
	}
}
