package webhooks_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// TestBadInputIsRefusedAndNeverStored is the ingress's part of the bad-input
// matrix: each row changes one thing about a good delivery.
func TestBadInputIsRefusedAndNeverStored(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{noExecutor: true}, probe())
	c, other := s.connect("org_1", secretConfig), s.connect("org_2", `{"webhookSecret":"of-another-tenant"}`)
	none := s.connect("org_3", `{}`)
	const body = `{"n":1}`
	now := time.Now()
	header := func(change func(http.Header)) http.Header {
		h := signed(signingSecret, body, "evt_bad", now)
		change(h)
		return h
	}
	signature := func(make func(good string) []string) http.Header {
		return header(func(h http.Header) { h["X-Signature"] = make(h.Get("X-Signature")) })
	}
	stamp := func(v string) http.Header { return header(func(h http.Header) { h["X-Timestamp"] = []string{v} }) }
	at := func(d time.Duration) http.Header { return signed(signingSecret, body, "evt_bad", now.Add(d)) }
	same := func(http.Header) {}
	for name, row := range map[string]struct {
		method, url, body string
		header            http.Header
		want              int
	}{
		"no signature":              {header: header(func(h http.Header) { delete(h, "X-Signature") }), want: 401},
		"empty signature":           {header: signature(func(string) []string { return []string{""} }), want: 401},
		"the header twice":          {header: signature(func(s string) []string { return []string{s, s} }), want: 401},
		"a thousand signatures":     {header: signature(func(s string) []string { return []string{strings.Repeat("sha256=00,", 1000) + s} }), want: 401},
		"wrong prefix":              {header: signature(func(s string) []string { return []string{strings.Replace(s, "sha256=", "sha1=", 1)} }), want: 401},
		"upper-case hex":            {header: signature(func(s string) []string { return []string{"sha256=" + strings.ToUpper(s[7:])} }), want: 401},
		"white space":               {header: signature(func(s string) []string { return []string{s[:7] + " " + s[7:]} }), want: 401},
		"cut off":                   {header: signature(func(s string) []string { return []string{s[:len(s)-2]} }), want: 401},
		"not hex":                   {header: signature(func(s string) []string { return []string{s[:len(s)-1] + "g"} }), want: 401},
		"another tenant's secret":   {url: other.WebhookURL, header: header(same), want: 401},
		"no secret configured":      {url: none.WebhookURL, header: signed("", body, "evt_bad", now), want: 401},
		"another body":              {body: `{"n":2}`, header: header(same), want: 401},
		"no timestamp":              {header: header(func(h http.Header) { delete(h, "X-Timestamp") }), want: 401},
		"negative timestamp":        {header: stamp("-1"), want: 401},
		"fractional timestamp":      {header: stamp("1.5"), want: 401},
		"exponent timestamp":        {header: stamp("1e9"), want: 401},
		"2^63":                      {header: stamp("9223372036854775808"), want: 401},
		"milliseconds":              {header: signed(signingSecret, body, "evt_bad", time.Unix(now.UnixMilli(), 0)), want: 401},
		"too old":                   {header: at(-302 * time.Second), want: 401},
		"from the future":           {header: at(time.Hour), want: 401},
		"GET":                       {method: "GET", header: header(same), want: 405},
		"HEAD":                      {method: "HEAD", header: header(same), want: 405},
		"PUT":                       {method: "PUT", header: header(same), want: 405},
		"OPTIONS":                   {method: "OPTIONS", header: header(same), want: 405},
		"unknown secret":            {url: "/connectors/probe/webhook/0123456789abcdef0123456789abcdef", header: header(same), want: 401},
		"unknown connector":         {url: "/connectors/nobody/webhook/0123456789abcdef0123456789abcdef", header: header(same), want: 404},
		"the secret in upper case":  {url: strings.ToUpper(c.WebhookURL[len(c.WebhookURL)-32:]), header: header(same), want: 401},
		"a dot segment":             {url: c.WebhookURL + "/%2e%2e", header: header(same), want: 404},
		"a slash at the end":        {url: c.WebhookURL + "/", header: header(same), want: 404},
		"no such app-wide webhook":  {url: appURL, header: header(same), want: 404},
		"the signed bytes zipped":   {body: zipped(t, body), header: header(func(h http.Header) { h["Content-Encoding"] = []string{"gzip"} }), want: 401},
		"a host of somebody else's": {header: header(func(h http.Header) { h["X-Forwarded-Host"] = []string{"evil.example"}; delete(h, "X-Signature") }), want: 401},
	} {
		if row.method == "" {
			row.method = "POST"
		}
		if row.body == "" {
			row.body = body
		}
		switch {
		case row.url == "":
			row.url = c.WebhookURL
		case len(row.url) == 32:
			row.url = "/connectors/probe/webhook/" + row.url
		}
		a := s.send(0, row.method, row.url, row.body, row.header)
		if a.status != row.want {
			t.Errorf("%s: got %d %s, want %d", name, a.status, a.body, row.want)
		}
		if a.status == http.StatusMethodNotAllowed && a.header.Get("Allow") != "POST" {
			t.Errorf("%s: 405 without Allow", name)
		}
		if strings.Contains(a.body, "hmac") || strings.Contains(a.body, signingSecret) {
			t.Errorf("%s: the answer says too much: %s", name, a.body)
		}
	}
	if got := len(s.messages(events.Webhooks, ">")); got != 0 {
		t.Errorf("%d bad deliveries were stored", got)
	}
}

// Whoever guesses addresses is slowed down, and nobody else: a connection that is
// called regularly is served all the while, and any other a moment later.
func TestGuessingAddressesIsRateLimited(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{noExecutor: true}, probe())
	c, rare := s.connect("org_1", secretConfig), s.connect("org_2", secretConfig)
	var n count
	deliver := func(url string) int {
		body := fmt.Sprintf(`{"n":%d}`, n.Add(1))
		return s.send(0, "POST", url, body, signed(signingSecret, body, "", time.Now())).status
	}
	s.eventually("it is known", func() bool {
		return deliver(c.WebhookURL) == http.StatusAccepted && s.Store.IsWebhookURLCached(secret.New(segment(c.WebhookURL)))
	})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
				a := s.send(0, "POST", fmt.Sprintf("/connectors/probe/webhook/%032x", n.Add(1)), "{}", nil)
				if a.status == http.StatusTooManyRequests && a.header.Get("Retry-After") != "" {
					return
				}
				if a.status != http.StatusUnauthorized {
					t.Errorf("a guess got %d %s", a.status, a.body)
				}
			}
			t.Error("guesses are never too many")
		})
	}
	all.Wait()
	for range 5 {
		if status := deliver(c.WebhookURL); status != http.StatusAccepted {
			t.Errorf("a delivery among guesses got %d", status)
		}
	}
	s.eventually("the other is served", func() bool { return deliver(rare.WebhookURL) == http.StatusAccepted })
}

// What is zipped stays zipped: the signature is of the bytes that came, and nobody
// unfolds a bomb.
func TestAZippedBodyIsStoredAsItCame(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{noExecutor: true}, probe())
	c := s.connect("org_1", secretConfig)
	bomb := zipped(t, strings.Repeat("0", 64<<20))
	h := signed(signingSecret, bomb, "evt_1", time.Now())
	h["Content-Encoding"] = []string{"gzip"}
	if a := s.send(0, "POST", c.WebhookURL, bomb, h); a.status != http.StatusAccepted {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	stored := s.messages(events.Webhooks, ">")
	if len(stored) != 1 || string(stored[0].Data) != bomb || stored[0].Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("stored %d, with the headers %v", len(stored), stored[0].Header)
	}
}

func zipped(t *testing.T, text string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write([]byte(text))
	must(t, err)
	must(t, w.Close())
	return out.String()
}

// TestOddButSignedBodiesAreStoredByteForByte: no body has to be JSON to be taken,
// and no name of the provider's reaches a subject as it is.
func TestOddButSignedBodiesAreStoredByteForByte(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{noExecutor: true}, probe())
	c := s.connect("org_1", secretConfig)
	bodies := []string{
		"", "null", "\xff\xfe\x00", "\xef\xbb\xbf{}", strings.Repeat("[", 100_000), `{"a":1,"a":2}`, `{"n":1e999999}`, "plain", "a=b&c=%zz",
	}
	kinds := []string{"a.b", "a*", "a>", "a b", "ünï", strings.Repeat("k", 8000), ">", "$SYS", ".."}
	for n, body := range bodies {
		h := signed(signingSecret, body, fmt.Sprintf("id.%d *>", n)+strings.Repeat("x", n*1000), time.Now())
		h["X-Event"] = []string{kinds[n]}
		if a := s.send(0, "POST", c.WebhookURL, body, h); a.status != http.StatusAccepted {
			t.Errorf("body %d, type %.20q: got %d %s, want 202", n, kinds[n], a.status, a.body)
		}
	}
	stored := s.messages(events.Webhooks, ">")
	if len(stored) != len(bodies) {
		t.Fatalf("%d events are stored, want %d", len(stored), len(bodies))
	}
	for n, m := range stored {
		if string(m.Data) != bodies[n] {
			t.Errorf("body %d was changed: %.40q", n, m.Data)
		}
		if strings.Count(m.Subject, ".") != 6 || strings.ContainsAny(m.Subject, "*> ") || len(m.Subject) > 1024 {
			t.Errorf("type %.20q made the subject %.80q", kinds[n], m.Subject)
		}
	}
}
