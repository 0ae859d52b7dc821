package demo_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"github.com/hawser-io/hawser/internal/demo"
)

const callback = "http://127.0.0.1:9/callback?tenant=1"

// bench is a provider and a client that talks to it.
type bench struct {
	*demo.Provider
	t      testing.TB
	client *http.Client
	clock  *clock
	folder string
}

// setup starts a provider in its own folder. opts may be nil.
func setup(t testing.TB, opts *demo.Options) *bench {
	t.Helper()
	o := demo.Options{}
	if opts != nil {
		o = *opts
	}
	if o.DataDir == "" {
		o.DataDir = t.TempDir()
	}
	b := &bench{t: t, clock: &clock{now: time.Now()}, folder: o.DataDir}
	o.Addr, o.Now = "127.0.0.1:0", b.clock.Now
	p, err := demo.Start(t.Context(), o)
	if err != nil {
		t.Fatalf("Start: %v", err)
	}
	b.Provider = p
	transport := &http.Transport{}
	b.client = &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		if err := p.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return b
}

// again starts a new provider on the same folder.
func (b *bench) again() *bench {
	b.t.Helper()
	if err := b.Close(b.t.Context()); err != nil {
		b.t.Fatalf("Close: %v", err)
	}
	return setup(b.t, &demo.Options{DataDir: b.folder})
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// answer is a response, read.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

func (a answer) json(t testing.TB) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(a.Body), &m); err != nil {
		t.Fatalf("body %q: %v", a.Body, err)
	}
	return m
}

// location is the query of a redirect.
func (a answer) location(t testing.TB) url.Values {
	t.Helper()
	u, err := url.Parse(a.Header.Get("Location"))
	if err != nil || a.Status != http.StatusSeeOther {
		t.Fatalf("got %d %q %s, want a redirect", a.Status, a.Header.Get("Location"), a.Body)
	}
	return u.Query()
}

// request makes a request; header is name, value, name, value …
func (b *bench) request(method, path, body string, header ...string) *http.Request {
	target := path
	if !strings.HasPrefix(path, "http") {
		target = b.URL() + path
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return req
}

// try sends a request that may get no answer.
func (b *bench) try(req *http.Request) (answer, error) {
	res, err := b.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	text, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(text)}, errors.Join(err, res.Body.Close())
}

func (b *bench) do(method, path, body string, header ...string) answer {
	b.t.Helper()
	a, err := b.try(b.request(method, path, body, header...))
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// post sends JSON with a bearer credential, none if it is empty.
func (b *bench) post(path, bearer, body string, header ...string) answer {
	b.t.Helper()
	header = append(header, "Content-Type", "application/json")
	if bearer != "" {
		header = append(header, "Authorization", "Bearer "+bearer)
	}
	return b.do("POST", path, body, header...)
}

func (b *bench) get(path, bearer string) answer {
	b.t.Helper()
	return b.do("GET", path, "", "Authorization", "Bearer "+bearer)
}

func (b *bench) form(path string, values url.Values) answer {
	b.t.Helper()
	return b.do("POST", path, values.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// wantStats compares the counters that are not zero.
func (b *bench) wantStats(want map[string]int) {
	b.t.Helper()
	var got map[string]int
	if err := json.Unmarshal([]byte(b.do("GET", "/_stats", "").Body), &got); err != nil {
		b.t.Fatal(err)
	}
	if len(got) != 7 {
		b.t.Errorf("GET /_stats has %d counters, want 7: %v", len(got), got)
	}
	for name, n := range got {
		if n == 0 {
			delete(got, name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.t.Errorf("counters (-want +got):\n%s", diff)
	}
}

func wantStatus(t testing.TB, a answer, status int) answer {
	t.Helper()
	if a.Status != status {
		t.Fatalf("got %d %s, want %d", a.Status, a.Body, status)
	}
	return a
}

// wantOAuthError checks an error body of RFC 6749.
func wantOAuthError(t testing.TB, a answer, status int, code string) {
	t.Helper()
	if got := wantStatus(t, a, status).json(t)["error"]; got != code {
		t.Fatalf("error = %v, want %s", got, code)
	}
}

// config is the client of a strange library.
func (b *bench) config(scopes ...string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: demo.ClientID, ClientSecret: demo.ClientSecret, RedirectURL: callback, Scopes: scopes,
		Endpoint: oauth2.Endpoint{AuthURL: b.URL() + "/authorize", TokenURL: b.URL() + "/token", AuthStyle: oauth2.AuthStyleInHeader},
	}
}

func (b *bench) context() context.Context {
	return context.WithValue(b.t.Context(), oauth2.HTTPClient, b.client)
}

// code walks through the consent page and returns the code and its verifier.
func (b *bench) code(scopes ...string) (code, verifier string) {
	b.t.Helper()
	verifier = oauth2.GenerateVerifier()
	to := b.config(scopes...).AuthCodeURL("st", oauth2.S256ChallengeOption(verifier))
	q := b.form(to, url.Values{"decision": {"approve"}}).location(b.t)
	if q.Get("code") == "" {
		b.t.Fatalf("no code in %v", q)
	}
	return q.Get("code"), verifier
}

// authorize returns the tokens of a whole flow.
func (b *bench) authorize(scopes ...string) *oauth2.Token {
	b.t.Helper()
	code, verifier := b.code(scopes...)
	token, err := b.config(scopes...).Exchange(b.context(), code, oauth2.VerifierOption(verifier))
	if err != nil {
		b.t.Fatalf("Exchange: %v", err)
	}
	return token
}

// asClient adds the client's credentials to a form.
func asClient(pairs ...string) url.Values {
	v := url.Values{"client_id": {demo.ClientID}, "client_secret": {demo.ClientSecret}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v
}

func (b *bench) refresh(token string) answer {
	b.t.Helper()
	return b.form("/token", asClient("grant_type", "refresh_token", "refresh_token", token))
}
