package catalog_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors/catalog"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

const key = "k3y"

var now = time.Unix(1_790_000_000, 0)

func digest(message string) []byte {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(message))
	return h.Sum(nil)
}

func hexDigest(message string) string { return hex.EncodeToString(digest(message)) }

// call is a request of a provider and what has to be answered.
type call struct {
	provider, name      string
	method, query, body string
	headers             map[string]string
	secrets, tokens     []string

	wantName    string // of the handshake; "" is a delivery
	wantRefused webhook.Reason
	wantStatus  int
	wantBody    string
	wantHeader  string // "Name: value"
	wantCapture string
}

func calls() []call {
	const ts = "1790000000"
	zoom := `{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"},"event_ts":1}`
	slack := `{"token":"t","challenge":"3eZbrw1aB","type":"url_verification"}`
	xero := `{"events":[],"lastEventSequence":0,"firstEventSequence":0,"entropy":"S0m3r4Nd0mt3xt"}`
	beat := `{"events":[]}`
	ping := `{"event":{"id":"1","event_type":"pagey.ping"}}`
	intercom := `{"type":"notification_event","topic":"ping"}`
	return []call{
		{provider: "slack", name: "url_verification", body: slack, headers: map[string]string{"X-Slack-Request-Timestamp": ts, "X-Slack-Signature": "v0=" + hexDigest("v0:"+ts+":"+slack)},
			secrets: []string{key}, wantName: "url_verification", wantStatus: 200, wantBody: `{"challenge":"3eZbrw1aB"}`},
		{provider: "slack", name: "url_verification that is not signed", body: slack, secrets: []string{key}, wantRefused: webhook.ReasonMissingSignature},
		{provider: "slack", name: "ssl_check", body: "ssl_check=1&token=x", headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
			secrets: []string{key}, wantName: "ssl_check", wantStatus: 200},
		{provider: "zoom", name: "url_validation", body: zoom, headers: map[string]string{"X-Zm-Request-Timestamp": ts, "X-Zm-Signature": "v0=" + hexDigest("v0:"+ts+":"+zoom)},
			secrets: []string{key}, wantName: "endpoint.url_validation", wantStatus: 200,
			wantBody: `{"encryptedToken":"` + hexDigest("qgg8vlvZRS6UYooatFL8Aw") + `","plainToken":"qgg8vlvZRS6UYooatFL8Aw"}`},
		{provider: "microsoft-graph", name: "validationToken", query: "validationToken=" + url.QueryEscape("Validation: Testing <b>"),
			secrets: []string{key}, wantName: "validationToken", wantStatus: 200, wantBody: "Validation: Testing <b>", wantHeader: "Content-Type: text/plain; charset=utf-8"},
		{provider: "dropbox", name: "challenge", method: "GET", query: "challenge=abc", secrets: []string{key}, wantName: "challenge", wantStatus: 200, wantBody: "abc", wantHeader: "X-Content-Type-Options: nosniff"},
		{provider: "meta", name: "right token", method: "GET", query: "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=meatyhamhock",
			secrets: []string{key}, tokens: []string{"meatyhamhock"}, wantName: "subscribe", wantStatus: 200, wantBody: "1158201444"},
		{provider: "meta", name: "wrong token", method: "GET", query: "hub.mode=subscribe&hub.challenge=1&hub.verify_token=x",
			secrets: []string{key}, tokens: []string{"meatyhamhock"}, wantRefused: webhook.ReasonWrongToken},
		{provider: "meta", name: "no token configured", method: "GET", query: "hub.mode=subscribe&hub.challenge=1&hub.verify_token=", secrets: []string{key}, wantRefused: webhook.ReasonWrongToken},
		{provider: "asana", name: "secret", headers: map[string]string{"X-Hook-Secret": "b537207f"}, wantName: "X-Hook-Secret", wantStatus: 200, wantHeader: "X-Hook-Secret: b537207f", wantCapture: "b537207f"},
		{provider: "asana", name: "second secret", headers: map[string]string{"X-Hook-Secret": "b537207f"}, secrets: []string{key}},
		{provider: "asana", name: "heartbeat", body: beat, headers: map[string]string{"X-Hook-Signature": hexDigest(beat)}, secrets: []string{key}, wantName: "heartbeat", wantStatus: 200},
		{provider: "notion", name: "verification_token", body: `{"verification_token":"secret_tMrlL1"}`, wantName: "verification_token", wantStatus: 200, wantCapture: "secret_tMrlL1"},
		{provider: "discord-interactions", name: "ping with a wrong signature", body: `{"type":1}`,
			headers: map[string]string{"X-Signature-Ed25519": strings.Repeat("00", 64), "X-Signature-Timestamp": ts},
			secrets: []string{strings.Repeat("3b", 32)}, wantRefused: webhook.ReasonBadSignature},
		{provider: "xero", name: "intent to receive", body: xero, headers: map[string]string{"X-Xero-Signature": base64.StdEncoding.EncodeToString(digest(xero))},
			secrets: []string{key}, wantName: "intent to receive", wantStatus: 200},
		{provider: "xero", name: "intent to receive, wrongly signed", body: xero, headers: map[string]string{"X-Xero-Signature": base64.StdEncoding.EncodeToString(digest("x"))},
			secrets: []string{key}, wantRefused: webhook.ReasonBadSignature},
		{provider: "pagerduty", name: "ping", body: ping, headers: map[string]string{"X-Pagerduty-Signature": "v1=" + hexDigest(ping)}, secrets: []string{key}, wantName: "pagey.ping", wantStatus: 200},
		{provider: "intercom", name: "probe", method: "HEAD", secrets: []string{key}, wantName: "probe", wantStatus: 200},
		{provider: "intercom", name: "unsigned ping", body: intercom, secrets: []string{key}, wantRefused: webhook.ReasonMissingSignature},
		{provider: "mailchimp", name: "probe", method: "GET", wantName: "probe", wantStatus: 200},
		{provider: "mailchimp", name: "delivery", body: "type=subscribe"},
		{provider: "google-push", name: "sync", headers: map[string]string{"X-Goog-Resource-State": "sync", "X-Goog-Channel-Token": key}, secrets: []string{key}, wantName: "sync", wantStatus: 200},
		{provider: "google-push", name: "sync with a wrong token", headers: map[string]string{"X-Goog-Resource-State": "sync", "X-Goog-Channel-Token": "x"},
			secrets: []string{key}, wantRefused: webhook.ReasonBadSignature},
		{provider: "google-push", name: "change", headers: map[string]string{"X-Goog-Resource-State": "change", "X-Goog-Channel-Token": key}, secrets: []string{key}},
	}
}

func TestHandshakesOfProviders(t *testing.T) {
	t.Parallel()
	for _, c := range calls() {
		t.Run(c.provider+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			reply, err := c.send(t)
			if c.wantRefused != "" {
				rejection, ok := errors.AsType[*webhook.Rejection](err)
				if !ok || rejection.Reason != c.wantRefused || reply != nil {
					t.Errorf("Handshake = %+v, %v, want it refused as %s", reply, err, c.wantRefused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c.compare(t, reply)
		})
	}
}

func (c *call) send(t *testing.T) (*webhook.Reply, error) {
	t.Helper()
	w, _ := catalog.Webhook(c.provider)
	e, err := webhook.Compile(&w, nil)
	if err != nil {
		t.Fatal(err)
	}
	query, err := url.ParseQuery(c.query)
	if err != nil {
		t.Fatal(err)
	}
	r := webhook.Request{Method: "POST", PublicURL: "https://h.example/x", Header: http.Header{}, Query: query, Body: []byte(c.body), Now: now}
	if c.method != "" {
		r.Method = c.method
	}
	for name, value := range c.headers {
		r.Header.Set(name, value)
	}
	return e.Handshake(t.Context(), r, secretTexts(c.secrets), secretTexts(c.tokens))
}

func secretTexts(values []string) []secret.Text {
	var all []secret.Text
	for _, v := range values {
		all = append(all, secret.New(v))
	}
	return all
}

func (c *call) compare(t *testing.T, reply *webhook.Reply) {
	t.Helper()
	if reply == nil {
		if c.wantName != "" {
			t.Fatalf("no handshake, want %q", c.wantName)
		}
		return
	}
	if reply.Name != c.wantName || reply.Status != c.wantStatus || string(reply.Body) != c.wantBody || reply.Capture.Reveal() != c.wantCapture {
		t.Errorf("reply %q %d %q, captured %q; want %q %d %q, %q", reply.Name, reply.Status, reply.Body, reply.Capture.Reveal(), c.wantName, c.wantStatus, c.wantBody, c.wantCapture)
	}
	if name, value, ok := strings.Cut(c.wantHeader, ": "); ok && reply.Header.Get(name) != value {
		t.Errorf("headers %v, want %s", reply.Header, c.wantHeader)
	}
}

func TestSubscriptionsAreConfirmedAtTheProvidersHosts(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		if v.Provider != "aws-sns" {
			continue
		}
		e, r := v.engine(t), v.request(t)
		reply, err := e.Handshake(t.Context(), r, nil, nil)
		if v.Want.Type == "Notification" {
			if reply != nil || err != nil {
				t.Errorf("notification: %v, %v, want a delivery", reply, err)
			}
			continue
		}
		if err != nil || !strings.HasPrefix(reply.Visit, "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&") {
			t.Errorf("%s: %+v, %v, want the address to visit", v.Want.Type, reply, err)
		}
	}
}

// FuzzDescriptors throws the same request at every descriptor: nothing
// panics, and nothing that is signed is accepted.
func FuzzDescriptors(f *testing.F) {
	type subject struct {
		name    string
		engine  *webhook.Engine
		headers []string
	}
	var subjects []subject
	for name, w := range catalog.Webhooks() {
		s := subject{name: name, headers: []string{"Content-Type"}}
		for _, v := range w.Verify {
			for _, from := range []string{v.Signature.From, timestampFrom(v.Timestamp)} {
				if header, ok := strings.CutPrefix(from, "header."); ok {
					s.headers = append(s.headers, http.CanonicalHeaderKey(header))
				}
			}
		}
		e, err := webhook.Compile(&w, &webhook.Options{Keys: webhook.NewKeys(&webhook.KeysOptions{HTTP: &http.Client{Transport: roundTrip(nobody)}})})
		if err != nil {
			f.Fatal(err)
		}
		s.engine = e
		subjects = append(subjects, s)
	}
	f.Add("v1,AAAA", "1790000000", "application/json", []byte(`{"events":[],"value":[{"clientState":"x"}],"Type":"Notification"}`))
	f.Add("t=1790000000,v1=00", "2026-09-21T14:13:20Z", "application/x-www-form-urlencoded", []byte(`payload={"type":"url_verification"}`))
	f.Fuzz(func(t *testing.T, signature, timestamp, contentType string, body []byte) {
		for _, s := range subjects {
			r := webhook.Request{Method: "POST", PublicURL: "https://h.example/x", Header: http.Header{}, Body: body, Now: now}
			for i, header := range s.headers {
				r.Header[header] = []string{[]string{signature, timestamp}[i%2]}
			}
			r.Header["Content-Type"] = []string{contentType}
			secrets := secretTexts([]string{"whsec_c2VjcmV0IHRoYXQgbm8gY29ycHVzIGtub3dz", "44782DEF547AAA06", "a secret that no corpus knows"})
			_, _ = s.engine.Handshake(t.Context(), r, secrets, nil)
			_ = s.engine.Extract(r)
			if verified, err := s.engine.Verify(t.Context(), r, secrets); err == nil && verified.Scheme != "unsigned" {
				t.Errorf("%s accepts %q", s.name, signature)
			}
		}
	})
}

func timestampFrom(t *webhooks.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.From
}

func nobody(*http.Request) (*http.Response, error) { return nil, errors.New("no network") }
