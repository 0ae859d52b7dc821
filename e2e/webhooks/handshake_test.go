package webhooks_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/internal/ingress/receive"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/catalog"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/events"
)

// discord is the app's key at Discord, whose public half is configured.
var discordPublic, discord, _ = ed25519.GenerateKey(nil)

// shaking are the catalogue's providers with handshakes, and one that shows what
// the catalogue has no example of.
func shaking() (all []connectors.Connector, o ingress.Options) {
	env := map[string]string{}
	own := catalog.Webhooks()
	own["custom"] = webhooks.Descriptor{
		SecretField: "webhookSecret", Verify: probe().Webhook.Verify,
		Handshakes: []webhooks.Handshake{
			{Name: "header as JSON", Methods: []string{"GET"}, When: []webhooks.Match{{From: "header.X-Challenge", Present: true}}, Respond: webhooks.Response{JSON: map[string]string{"verification": "{header.X-Challenge}"}}},
			{Name: "body as text", When: []webhooks.Match{{From: "body.challenge", Present: true}}, Respond: webhooks.Response{Text: "{body.challenge}"}},
			{Name: "form as header", When: []webhooks.Match{{From: "form.hello", Present: true}}, Respond: webhooks.Response{Status: http.StatusNoContent, Headers: map[string]string{"X-Hello": "{form.hello}"}}},
			{Name: "crc", Methods: []string{"GET"}, When: []webhooks.Match{{From: "query.crc_token", Present: true}}, Respond: webhooks.Response{
				HMAC: &webhooks.ResponseHMAC{Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingBase64, Over: "{query.crc_token}"},
				JSON: map[string]string{"response_token": "sha256={hmac}"},
			}},
		},
	}
	for name, w := range own {
		if len(w.Handshakes) == 0 || name == "aws-sns" {
			continue
		}
		all = append(all, connectors.Connector{
			Key: name, Config: schema.For[shakingConfig](), Auth: connectors.Auth{Kind: connectors.AuthNone}, Webhook: &connectors.Webhook{Descriptor: w},
		})
		prefix := "HAWSER_APP_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		env[prefix+"_WEBHOOK_SECRET"], env[prefix+"_CLIENT_SECRET"], env[prefix+"_VERIFY_TOKEN"] = signingSecret, signingSecret, "canary-verify-token"
		if strings.HasPrefix(name, "discord") {
			env[prefix+"_WEBHOOK_SECRET"] = hex.EncodeToString(discordPublic)
		}
	}
	return all, ingress.Options{AppSecrets: receive.AppSecrets(func(name string) string { return env[name] })}
}

type shakingConfig struct {
	WebhookSecret connectors.Secret `json:"webhookSecret,omitzero"`
	VerifyToken   connectors.Secret `json:"verifyToken,omitzero"`
}

func mac(text string) []byte {
	h := hmac.New(sha256.New, []byte(signingSecret))
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hexMAC(text string) string { return hex.EncodeToString(mac(text)) }

// handshake is a provider's call and what has to come back.
type handshake struct {
	provider, name           string
	method, query, body      string // POST
	header                   map[string]string
	status                   int    // 200
	contentType, want, gives string // gives is "Name: value"
	appToo                   bool   // also answered on the app's URL
}

func handshakes() []handshake {
	ts := strconv.FormatInt(time.Now().Unix(), 10)
	const text, object, form = "text/plain; charset=utf-8", "application/json", "application/x-www-form-urlencoded"
	const script, long = "<script>alert(1)</script>", "xxxxxxxxxxxxxxxx"
	slack := func(body string) map[string]string {
		return map[string]string{"X-Slack-Request-Timestamp": ts, "X-Slack-Signature": "v0=" + hexMAC("v0:"+ts+":"+body), "Content-Type": object}
	}
	discorded := func(body string) map[string]string {
		return map[string]string{"X-Signature-Timestamp": ts, "X-Signature-Ed25519": hex.EncodeToString(ed25519.Sign(discord, []byte(ts+body)))}
	}
	const challenge, evil, ping, none = `{"type":"url_verification","challenge":"3eZb"}`, `{"type":"url_verification","challenge":"<script>"}`, `{"type":1}`, `{"type":0}`
	huge := `{"type":"url_verification","challenge":"` + strings.Repeat("x", 1<<20-100) + `"}`
	zoom := `{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8"},"event_ts":1}`
	xero, beat := `{"events":[],"entropy":"S0m3"}`, `{"events":[]}`
	pagerduty := `{"event":{"id":"1","event_type":"pagey.ping"}}`
	return []handshake{
		{provider: "microsoft-graph", name: "validation token", query: "validationToken=Validation%3A+Testing+%3Cb%3E", contentType: text, want: "Validation: Testing <b>"},
		{provider: "dropbox", name: "query echoed as text", method: "GET", query: "challenge=abc", contentType: text, want: "abc", appToo: true},
		{provider: "dropbox", name: "a script is text", method: "GET", query: "challenge=" + url.QueryEscape(script), contentType: text, want: script, appToo: true},
		{provider: "dropbox", name: "a page is text whatever is asked for", method: "GET", query: "challenge=" + url.QueryEscape(script), header: map[string]string{"Accept": "text/html"}, contentType: text, want: script},
		{provider: "dropbox", name: "a long challenge", method: "GET", query: "challenge=" + strings.Repeat(long, 256), contentType: text, want: strings.Repeat(long, 256), appToo: true},
		{provider: "dropbox", name: "one byte too long", method: "GET", query: "challenge=x" + strings.Repeat(long, 256), status: http.StatusUnauthorized, appToo: true},
		{provider: "dropbox", name: "empty", method: "GET", query: "challenge=", status: http.StatusMethodNotAllowed, appToo: true},
		{provider: "slack", name: "body echoed as JSON", body: challenge, header: slack(challenge), contentType: object, want: `{"challenge":"3eZb"}`, appToo: true},
		{provider: "slack", name: "a script in JSON", body: evil, header: slack(evil), contentType: object, want: `{"challenge":"\u003cscript\u003e"}`, appToo: true},
		{provider: "slack", name: "a challenge of 1 MB", body: huge, header: slack(huge), status: http.StatusUnauthorized, appToo: true},
		{provider: "slack", name: "not signed", body: challenge, status: http.StatusUnauthorized, appToo: true},
		{provider: "slack", name: "ssl_check", body: "ssl_check=1&token=x", header: map[string]string{"Content-Type": form}, appToo: true},
		{provider: "custom", name: "header echoed as JSON", method: "GET", header: map[string]string{"X-Challenge": script}, contentType: object, want: `{"verification":"\u003cscript\u003ealert(1)\u003c/script\u003e"}`},
		{provider: "custom", name: "body echoed as text", body: `{"challenge":"<b>"}`, contentType: text, want: "<b>"},
		{provider: "custom", name: "form echoed in a header", body: "hello=world", header: map[string]string{"Content-Type": form}, status: http.StatusNoContent, gives: "X-Hello: world"},
		{provider: "custom", name: "no line can be added", body: "hello=a%0d%0aX-Evil:+1", header: map[string]string{"Content-Type": form}, status: http.StatusUnauthorized},
		{provider: "custom", name: "HMAC of the query", method: "GET", query: "crc_token=abc", contentType: object, want: `{"response_token":"sha256=` + base64.StdEncoding.EncodeToString(mac("abc")) + `"}`},
		{provider: "zoom", name: "HMAC answer", body: zoom, header: map[string]string{"X-Zm-Request-Timestamp": ts, "X-Zm-Signature": "v0=" + hexMAC("v0:"+ts+":"+zoom)}, contentType: object,
			want: `{"encryptedToken":"` + hexMAC("qgg8") + `","plainToken":"qgg8"}`, appToo: true},
		{provider: "zoom", name: "HMAC answer to nobody else", body: zoom, header: map[string]string{"X-Zm-Request-Timestamp": ts, "X-Zm-Signature": "v0=00"}, status: http.StatusUnauthorized, appToo: true},
		{provider: "discord-interactions", name: "PING and PONG", body: ping, header: discorded(ping), contentType: object, want: ping, appToo: true},
		{provider: "discord-interactions", name: "PING, wrongly signed", body: ping, header: discorded(none), status: http.StatusUnauthorized, appToo: true},
		{provider: "discord-events", name: "PING and 204", body: none, header: discorded(none), status: http.StatusNoContent, appToo: true},
		{provider: "meta", name: "verify token", method: "GET", query: "hub.mode=subscribe&hub.challenge=115&hub.verify_token=canary-verify-token", contentType: text, want: "115", appToo: true},
		{provider: "meta", name: "wrong verify token", method: "GET", query: "hub.mode=subscribe&hub.challenge=115&hub.verify_token=x", status: http.StatusForbidden, appToo: true},
		{provider: "meta", name: "no verify token", method: "GET", query: "hub.mode=subscribe&hub.challenge=115", status: http.StatusForbidden, appToo: true},
		{provider: "xero", name: "intent to receive", body: xero, header: map[string]string{"X-Xero-Signature": base64.StdEncoding.EncodeToString(mac(xero))}, appToo: true},
		{provider: "xero", name: "intent to receive, wrongly signed", body: xero, header: map[string]string{"X-Xero-Signature": base64.StdEncoding.EncodeToString(mac("x"))}, status: http.StatusUnauthorized, contentType: "none", appToo: true},
		{provider: "asana", name: "heartbeat", body: beat, header: map[string]string{"X-Hook-Signature": hexMAC(beat)}},
		{provider: "pagerduty", name: "ping", body: pagerduty, header: map[string]string{"X-PagerDuty-Signature": "v1=" + hexMAC(pagerduty)}},
		{provider: "figma", name: "ping", body: `{"event_type":"PING","passcode":"` + signingSecret + `"}`},
		{provider: "google-push", name: "sync", header: map[string]string{"X-Goog-Resource-State": "sync", "X-Goog-Channel-Token": signingSecret}},
		{provider: "intercom", name: "HEAD probe", method: "HEAD", appToo: true},
		{provider: "mailchimp", name: "GET probe", method: "GET"},
		{provider: "mailchimp", name: "HEAD probe", method: "HEAD"},
	}
}

// Every kind of handshake as a provider makes it, over HTTP, on the URL of a
// connection and on the app's. None of them is an event.
func TestHandshakesAreAnsweredAndLeaveNoEvent(t *testing.T) {
	t.Parallel()
	all, o := shaking()
	s := newSite(t, siteOptions{ingress: o}, all...)
	urls := map[string]string{}
	for _, c := range all {
		config := `{"webhookSecret":"` + signingSecret + `"}`
		if c.Webhook.SecretField == "" {
			config = `{}`
		}
		var conn connected
		s.api("PUT", "/scopes/organization/org_1/connections/"+c.Key, `{"config":`+config+`}`, http.StatusCreated, &conn)
		urls[c.Key] = conn.WebhookURL
	}
	tried := map[string]bool{}
	for _, h := range handshakes() {
		tried[h.provider] = true
		s.shakes(h, urls[h.provider])
		if h.appToo {
			h.name += ", on the app's URL"
			s.shakes(h, "/connectors/"+h.provider+"/webhook")
		}
	}
	for _, c := range all {
		if c.Key != "notion" && !tried[c.Key] { // notion: see below
			t.Errorf("no handshake of %s was tried", c.Key)
		}
	}
	if got := s.messages(events.Webhooks, ">"); len(got) > 0 {
		t.Errorf("a handshake was stored: %v %s", got[0].Header, got[0].Data)
	}
	if got := s.messages(events.Lifecycle, "hawser.event.*.*.*.webhook.*"); len(got) > 0 {
		t.Errorf("a handshake was announced: %s", got[0].Subject)
	}
	everything := s.everything()
	if !strings.Contains(everything, `value:"handshake"`) {
		t.Error("the metrics do not tell handshakes")
	}
	if strings.Contains(everything, "canary-") {
		t.Error("a secret lies in the clear")
	}
}

func (s *site) shakes(h handshake, url string) {
	s.t.Helper()
	header := http.Header{}
	for name, value := range h.header {
		header.Set(name, value)
	}
	if h.method == "" {
		h.method = "POST"
	}
	if h.status == 0 {
		h.status = http.StatusOK
	}
	if h.query != "" {
		url += "?" + h.query
	}
	a := s.send(0, h.method, url, h.body, header)
	if a.status != h.status {
		s.t.Errorf("%s, %s: got %d %.300s, want %d", h.provider, h.name, a.status, a.body, h.status)
		return
	}
	contentType := a.header.Get("Content-Type")
	if h.contentType == "none" && (a.body != "" || contentType != "") {
		s.t.Errorf("%s, %s: the refusal has a body: %s", h.provider, h.name, a.body)
	}
	if a.status/100 != 2 {
		if strings.Contains(a.body, "<script>") || strings.Contains(a.body, "xxxx") {
			s.t.Errorf("%s, %s: the refusal echoes: %.300s", h.provider, h.name, a.body)
		}
		return
	}
	if a.body != h.want || contentType != h.contentType || a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Set-Cookie") != "" {
		s.t.Errorf("%s, %s: got %.300q of type %q, want %.300q of %q", h.provider, h.name, a.body, contentType, h.want, h.contentType)
	}
	if name, value, ok := strings.Cut(h.gives, ": "); ok && a.header.Get(name) != value {
		s.t.Errorf("%s, %s: headers %v, want %s", h.provider, h.name, a.header, h.gives)
	}
}

// Asana hands its secret over in a header and wants it back, Notion in the body;
// what it signed verifies from then on, and nobody hands over another.
func TestProvidersThatHandOverTheirSecret(t *testing.T) {
	t.Parallel()
	all, o := shaking()
	s := newSite(t, siteOptions{noExecutor: true, ingress: o}, all...)
	for provider, signature := range map[string]string{"asana": "X-Hook-Signature", "notion": "X-Notion-Signature"} {
		var conn connected
		s.api("PUT", "/scopes/organization/org_1/connections/"+provider, `{"config":{}}`, http.StatusCreated, &conn)
		hello := func(secret string) answer {
			if provider == "asana" {
				return s.send(0, "POST", conn.WebhookURL, "", http.Header{"X-Hook-Secret": {secret}})
			}
			return s.send(0, "POST", conn.WebhookURL, `{"verification_token":"`+secret+`"}`, nil)
		}
		if a := hello(signingSecret); a.status != http.StatusOK || provider == "asana" && a.header.Get("X-Hook-Secret") != signingSecret || strings.Contains(a.body, signingSecret) {
			t.Errorf("%s: the handshake got %d %v %s", provider, a.status, a.header, a.body)
		}
		n := 0
		deliver := func() int {
			n++
			body := fmt.Sprintf(`{"id":"%d","type":"page.created","events":[{"action":"added"}]}`, n)
			return s.send(0, "POST", conn.WebhookURL, body, http.Header{signature: {map[string]string{"notion": "sha256="}[provider] + hexMAC(body)}}).status
		}
		s.eventually(provider+"'s deliveries verify", func() bool { return deliver() == http.StatusOK })
		if a := hello("another"); a.status/100 == 2 {
			t.Errorf("%s: a second secret got %d", provider, a.status)
		}
		if status := deliver(); status != http.StatusOK {
			t.Errorf("%s: a delivery after the second secret got %d", provider, status)
		}
	}
}

// Handshakes are bounded, and whoever makes too many holds up nobody else.
func TestHandshakesAreRateLimitedEachConnectionByItself(t *testing.T) {
	t.Parallel()
	all, o := shaking()
	s := newSite(t, siteOptions{noExecutor: true, ingress: o}, all...)
	var one, other connected
	s.api("PUT", "/scopes/organization/org_1/connections/dropbox", `{"config":{}}`, http.StatusCreated, &one)
	s.api("PUT", "/scopes/organization/org_2/connections/dropbox", `{"config":{}}`, http.StatusCreated, &other)
	for _, url := range []string{one.WebhookURL, "/connectors/dropbox/webhook"} {
		s.eventually("it is too much", func() bool {
			a := s.send(0, "GET", url+"?challenge=abc", "", nil)
			if a.status != http.StatusOK && (a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || strings.Contains(a.body, "abc")) {
				t.Errorf("got %d %v %s", a.status, a.header, a.body)
			}
			return a.status == http.StatusTooManyRequests
		})
	}
	if a := s.send(0, "GET", other.WebhookURL+"?challenge=abc", "", nil); a.status != http.StatusOK {
		t.Errorf("another connection's handshake got %d", a.status)
	}
	body := `{"list_folder":{"accounts":["x"]}}`
	if a := s.send(0, "POST", one.WebhookURL, body, http.Header{"X-Dropbox-Signature": {hexMAC(body)}}); a.status != http.StatusOK {
		t.Errorf("a delivery got %d", a.status)
	}
}
