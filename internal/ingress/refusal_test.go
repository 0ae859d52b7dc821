package ingress_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestAForgedDeliveryIsRefused(t *testing.T) {
	t.Parallel()
	plain := testenv.Probe("plain", "")
	plain.Webhook = nil
	s := serve(t, testenv.Probe("probe", ""), testenv.Probe("other", ""), plain)
	path := s.connect(t, "probe")
	theirs := webhookPath(t, s.do(t, "PUT", ofBob+"/probe", `{"config":{"apiKey":"k","webhookSecret":"webhook-secret-of-bob"}}`))
	bare := webhookPath(t, s.do(t, "PUT", ofBob+"/other", `{"config":{"apiKey":"k"}}`))
	now := time.Now()
	signed := func(secret string, at time.Time) map[string]string {
		return testenv.Sign(secret, "d1", "e", []byte(`{}`), at)
	}
	with := func(header map[string]string, name, value string) map[string]string {
		header[name] = value
		return header
	}
	signature := signed(secret, now)["X-Probe-Signature"]
	for name, c := range map[string]struct {
		path   string
		header map[string]string
		status int
		code   string
	}{
		"unknown URL":                  {path[:len(path)-1] + "x", signed(secret, now), 401, "CONNECTOR_WEBHOOK_VERIFICATION_FAILED"},
		"another connector's URL":      {strings.Replace(path, "/probe/", "/other/", 1), signed(secret, now), 401, "CONNECTOR_WEBHOOK_VERIFICATION_FAILED"},
		"unknown connector":            {strings.Replace(path, "/probe/", "/ghost/", 1), signed(secret, now), 404, "CONNECTOR_NOT_FOUND"},
		"a connector of another case":  {strings.Replace(path, "/probe/", "/Probe/", 1), signed(secret, now), 404, "CONNECTOR_NOT_FOUND"},
		"a connector without webhooks": {strings.Replace(path, "/probe/", "/plain/", 1), signed(secret, now), 404, "CONNECTOR_WEBHOOK_NOT_CONFIGURED"},
		"no signature":                 {path, nil, 401, "CONNECTOR_WEBHOOK_VERIFICATION_FAILED"},
		"empty signature":              {path, with(signed(secret, now), "X-Probe-Signature", ""), 401, "CONNECTOR_WEBHOOK_VERIFICATION_FAILED"},
		"wrong secret":                 {path, signed("another", now), 401, "CONNECTOR_WEBHOOK_VERIFICATION_FAILED"},
		"another tenant's secret":      {path, signed("webhook-secret-of-bob", now), 401, "CONNECTOR_WEBHOOK_VERIFICATION_FAILED"},
		"our secret at another tenant": {theirs, signed(secret, now), 401, "CONNECTOR_WEBHOOK_VERIFICATION_FAILED"},
		"downgraded":                   {path, with(signed(secret, now), "X-Probe-Signature", "sha1"+signature[6:]), 401, "CONNECTOR_WEBHOOK_VERIFICATION_FAILED"},
		"upper case":                   {path, with(signed(secret, now), "X-Probe-Signature", "sha256="+strings.ToUpper(signature[7:])), 401, "CONNECTOR_WEBHOOK_VERIFICATION_FAILED"},
		"stale":                        {path, signed(secret, now.Add(-301*time.Second)), 401, "CONNECTOR_WEBHOOK_VERIFICATION_FAILED"},
		"from the future":              {path, signed(secret, now.Add(90*time.Second)), 401, "CONNECTOR_WEBHOOK_VERIFICATION_FAILED"},
		"milliseconds":                 {path, with(signed(secret, now), "X-Probe-Timestamp", fmt.Sprint(now.UnixMilli())), 401, "CONNECTOR_WEBHOOK_VERIFICATION_FAILED"},
		"no secret configured":         {bare, signed("", now), 401, "CONNECTOR_WEBHOOK_VERIFICATION_FAILED"},
	} {
		var header []string
		for k, v := range c.header {
			header = append(header, k, v)
		}
		r := s.do(t, "POST", c.path, `{}`, append(header, "Authorization", "")...)
		if r.status != c.status || r.code() != c.code {
			t.Errorf("%s: %d %s, want %d %s", name, r.status, r.body, c.status, c.code)
		}
		if c.status == 401 && !strings.Contains(r.body, "the delivery could not be verified") {
			t.Errorf("%s: the refusal differs from others: %s", name, r.body)
		}
	}
	if got := s.Count(t, events.Webhooks, ">"); got != 0 {
		t.Errorf("%d webhooks are stored, want none", got)
	}
	if lines := s.Log.Lines(path[len(path)-32:]); len(lines) > 0 {
		t.Errorf("the URL's secret is logged: %s", lines)
	}
}

func TestARejectionEmitsAnEventAndStoresEvidence(t *testing.T) {
	t.Parallel()
	s := serve(t)
	path := s.connect(t, "probe")
	lifecycle, quarantine := s.Listen(t, "hawser.event.>"), s.Listen(t, "hawser.quarantine.>")
	r := s.do(t, "POST", path, `{"password":"canary"}`, "Authorization", "", "X-Probe-Signature", "sha256=canary-signature", "X-Probe-Timestamp", fmt.Sprint(time.Now().Unix()))
	if r.status != http.StatusUnauthorized {
		t.Fatalf("%d %s", r.status, r.body)
	}
	e := lifecycle.Event(t)
	var data events.Data
	if err := json.Unmarshal(e.Data(), &data); err != nil {
		t.Fatal(err)
	}
	if e.Type() != "hawser.webhook.rejected" || data.Path != "/api/v1/connectors/probe/webhook/***" || data.Verified == nil || *data.Verified ||
		data.ErrorCode != "CONNECTOR_WEBHOOK_VERIFICATION_FAILED" || events.Extension(e, events.ExtIdentity) != "ava@example.com" {
		t.Errorf("event %s %s", e.Type(), e.Data())
	}
	evidence := quarantine.Message(t)
	if evidence.Subject != "hawser.quarantine.probe.signature" || strings.Contains(string(evidence.Data)+fmt.Sprint(evidence.Header), "canary") || !strings.Contains(string(evidence.Data), `"body_bytes":21`) {
		t.Errorf("quarantined on %s: %s", evidence.Subject, evidence.Data)
	}
	stale := testenv.Sign(secret, "d1", "e", []byte(`{}`), time.Now().Add(-time.Hour))
	var header []string
	for k, v := range stale {
		header = append(header, k, v)
	}
	s.do(t, "POST", path, `{}`, append(header, "Authorization", "")...)
	if evidence := quarantine.Message(t); evidence.Subject != "hawser.quarantine.probe.stale" || !strings.Contains(string(evidence.Data), `"reason":"stale"`) {
		t.Errorf("quarantined on %s: %s", evidence.Subject, evidence.Data)
	}
	if len(s.Log.Lines(`"level":"warn"`, "1h0m", "behind this machine's clock")) != 1 {
		t.Errorf("the log does not say how far the clocks are apart: %s", s.Log)
	}
}

func TestDeliveriesForADisabledConnectionAreQuarantinedSealed(t *testing.T) {
	t.Parallel()
	s := serve(t)
	path := s.connect(t, "probe")
	s.toggle(t)
	lifecycle := s.Listen(t, "hawser.event.>")
	if r := s.do(t, "POST", path, `{}`, "Authorization", ""); r.status != http.StatusUnauthorized {
		t.Errorf("unsigned: %d %s", r.status, r.body)
	}
	for _, status := range []int{http.StatusAccepted, http.StatusOK} {
		if r := s.deliver(t, path, "d1", `{"for":"later"}`); r.status != status || r.header.Get("Hawser-Quarantined") != "true" {
			t.Errorf("%d %s, want %d", r.status, r.body, status)
		}
	}
	if got := s.Count(t, events.Webhooks, ">"); got != 0 {
		t.Errorf("%d webhooks are stored, want none", got)
	}
	d, err := s.Queue.Streams.First(t.Context(), events.Quarantine, 1, "hawser.quarantine.probe.disabled")
	if err != nil {
		t.Fatal(err)
	}
	if kept := string(d.Data); strings.Contains(kept, "later") || !strings.Contains(kept, `"redrivable":true`) || !strings.Contains(kept, `"code":"CONNECTOR_DISABLED"`) {
		t.Errorf("quarantined %s with %v", kept, d.Header)
	}
	if got := s.Count(t, events.Quarantine, "hawser.quarantine.probe.disabled"); got != 1 {
		t.Errorf("%d are in quarantine of one that was sent twice", got)
	}
	if e := lifecycle.Event(t); e.Type() != "hawser.webhook.rejected" {
		t.Errorf("event %s", e.Type())
	}
}

func TestAConnectionThatNeedsReauthorisationStillReceives(t *testing.T) {
	t.Parallel()
	s := serve(t)
	path := s.connect(t, "probe")
	ref := records.NewRef(ava, "probe", "")
	entry, err := s.Buckets.Connections.Get(t.Context(), ref.Key())
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(entry.Value), `"state":"active"`, `"state":"needs_reauth"`, 1)
	if _, err := s.Buckets.Connections.Update(t.Context(), ref.Key(), []byte(changed), entry.Revision); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the cache has the state", func() bool {
		c, err := s.Store.Get(t.Context(), ref)
		return err == nil && c.State == records.NeedsReauth
	})
	if r := s.deliver(t, path, "d1", `{}`); r.status != http.StatusAccepted {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestBodiesAreReadWholeOrRefused(t *testing.T) {
	t.Parallel()
	s := serve(t)
	path := s.connect(t, "probe")
	const limit = 64 << 10
	if r := s.deliver(t, path, "exactly", strings.Repeat("x", limit)); r.status != http.StatusAccepted {
		t.Errorf("exactly the limit: %d %s", r.status, r.body)
	}
	if r := s.deliver(t, path, "over", strings.Repeat("x", limit+1)); r.status != http.StatusRequestEntityTooLarge || r.code() != "CONNECTOR_WEBHOOK_TOO_LARGE" {
		t.Errorf("a byte over: %d %s", r.status, r.body)
	}
	chunk := fmt.Sprintf("%x\r\n%s\r\n", limit+1, strings.Repeat("x", limit+1))
	head := "POST " + path + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"
	sign := func(body string) string {
		out := ""
		for k, v := range testenv.Sign(secret, "chunked", "e", []byte(body), time.Now()) {
			out += k + ": " + v + "\r\n"
		}
		return out
	}
	for name, c := range map[string]struct {
		request string
		status  int
		code    string
	}{
		"chunked, over the limit": {head + "Transfer-Encoding: chunked\r\n\r\n" + chunk + "0\r\n\r\n", 413, "CONNECTOR_WEBHOOK_TOO_LARGE"},
		"claimed over the limit":  {head + "Content-Length: 99999999\r\n\r\n", 413, "CONNECTOR_WEBHOOK_TOO_LARGE"},
		"chunked":                 {head + sign("abc") + "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", 202, ""},
		"malformed chunks":        {head + sign("abc") + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "CONNECTOR_WEBHOOK_VALIDATION_FAILED"},
		"negative length":         {head + "Content-Length: -1\r\n\r\n", 400, ""},
		"two lengths":             {head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, ""},
		"both framings":           {head + sign("abc") + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 401, "CONNECTOR_WEBHOOK_VERIFICATION_FAILED"},
		"gzip is not decoded":     {head + "Content-Encoding: gzip\r\n" + strings.Replace(sign("abc"), "chunked", "gzip", 1) + "Content-Length: 3\r\n\r\nabc", 202, ""},
		"expects 100-continue":    {head + "Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n", 413, "CONNECTOR_WEBHOOK_TOO_LARGE"},
	} {
		if r := s.raw(t, c.request); r.status != c.status || r.code() != c.code {
			t.Errorf("%s: %d %s, want %d %s", name, r.status, r.body, c.status, c.code)
		}
	}
	if got := s.Count(t, events.Webhooks, ">"); got != 3 {
		t.Errorf("%d webhooks are stored, want 3", got)
	}
}

func TestABodyLargerThanAMessageIsStoredBesideIt(t *testing.T) {
	t.Parallel()
	c := testenv.Probe("large", "")
	c.Webhook.MaxBody = 4 << 20
	s := serve(t, c)
	path := s.connect(t, "large")
	large := strings.Repeat("x", 2<<20)
	if r := s.deliver(t, path, "d1", large); r.status != http.StatusAccepted {
		t.Fatalf("%d %.200s", r.status, r.body)
	}
	d, err := s.Queue.Streams.First(t.Context(), events.Webhooks, 1, ">")
	if err != nil {
		t.Fatal(err)
	}
	if body, err := s.Queue.Bodies.Get(t.Context(), d); err != nil || len(d.Data) != 0 || string(body) != large {
		t.Errorf("%v: %d bytes in the message, %d beside it", err, len(d.Data), len(body))
	}
}

func TestWebhooksByOtherMethodsAreRefusedWithAllow(t *testing.T) {
	t.Parallel()
	s := serve(t)
	path := s.connect(t, "probe")
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "BREW"} {
		r := s.target(t, method, path)
		if r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != "POST" || r.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d, Allow %q, %s", method, r.status, r.header.Get("Allow"), r.header.Get("Content-Type"))
		}
	}
}

func TestADeliveryThatDoesNotMatchItsSchemaIsRefusedAndQuarantined(t *testing.T) {
	t.Parallel()
	schema, err := schema.Parse([]byte(`{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	c := testenv.Probe("strict", "")
	c.Webhook.Schema, c.Webhook.Payload = schema, "payload"
	s := serve(t, c)
	path := s.connect(t, "strict")
	const form = "application/x-www-form-urlencoded"
	for i, d := range []struct {
		kind, body string
		status     int
	}{
		{"application/json", `{"n":1}`, 202}, {"application/json", `{"n":"canary"}`, 400}, {"application/json", ``, 400}, {"text/plain", `{"n":2}`, 202},
		{form, "payload=%7B%22n%22%3A3%7D", 202}, {form, "payload=%7B%7D", 400}, {form, "other=1", 400}, {form, "payload=%zz", 400},
	} {
		r := s.deliver(t, path, fmt.Sprint("d", i), d.body, "Content-Type", d.kind)
		if r.status != d.status || d.status == 400 && r.code() != "CONNECTOR_WEBHOOK_VALIDATION_FAILED" || strings.Contains(r.body, "canary") {
			t.Errorf("%s %s: %d %s, want %d", d.kind, d.body, r.status, r.body, d.status)
		}
	}
	if stored, quarantined := s.Count(t, events.Webhooks, ">"), s.Count(t, events.Quarantine, "hawser.quarantine.strict.schema"); stored != 3 || quarantined != 5 {
		t.Errorf("%d stored and %d quarantined, want 3 and 5", stored, quarantined)
	}
}
