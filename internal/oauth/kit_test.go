package oauth_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/demo"
	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/internal/oauth/token"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

var must = testenv.Must

var acme = events.Tenant{Scope: "organization", Identity: "acme"}

// installation is a NATS system with one ingress; nodes join it.
type installation struct {
	t      testing.TB
	front  *testenv.Node
	url    string       // of the API
	client *http.Client // for it
	token  secret.Text
}

// options of an installation. Zero fields mean the default.
type options struct {
	CallTimeout time.Duration
	ReturnURLs  []string
	Now         func() time.Time
}

// retries is how many attempts at actions have failed and will be retried.
func (in *installation) retries() int64 {
	return int64(len(in.front.Log.Lines(`"outcome":"retrying"`)))
}

// install starts an installation of connectors, with an ingress on loopback.
func install(t testing.TB, opts *options, all ...connectors.Connector) *installation {
	t.Helper()
	return installWith(t, testenv.NodeOptions{}, opts, all...)
}

// installWithApp starts an installation with one connector, and sets its app.
func installWithApp(t testing.TB, opts *options, c connectors.Connector) *installation {
	t.Helper()
	in := install(t, opts, c)
	in.setApp(c.Key, demoApp)
	return in
}

// installWith starts an installation whose nodes differ from the usual.
func installWith(t testing.TB, setup testenv.NodeOptions, opts *options, all ...connectors.Connector) *installation {
	t.Helper()
	if opts == nil {
		opts = &options{}
	}
	setup.Connectors, setup.Uncached, setup.ReturnURLs = all, true, opts.ReturnURLs
	setup.Token = token.Options{CallTimeout: opts.CallTimeout, Now: opts.Now}
	node, front := testenv.StartReachable(t, setup)
	return &installation{t, node, front.URL + ingress.DefaultBasePath, front.HTTP, front.Token}
}

// run runs f until the test ends, and waits for it.
func run(t testing.TB, f func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f(ctx); err != nil {
			t.Errorf("in the background: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

func (in *installation) setApp(name string, app records.App) {
	in.t.Helper()
	must(in.t, in.front.Apps.Set(in.t.Context(), name, app))
}

// startDemo starts the demo provider.
func startDemo(t testing.TB) *demo.Provider {
	t.Helper()
	p, err := demo.Start(t.Context(), demo.Options{Addr: "127.0.0.1:0", DataDir: t.TempDir()})
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := p.Close(ctx); err != nil {
			t.Logf("close the demo provider: %v", err)
		}
	})
	return p
}

// withDemo is an installation with the demo provider and its app.
func withDemo(t testing.TB, opts *options) (*installation, *demo.Provider) {
	t.Helper()
	p := startDemo(t)
	in := install(t, opts, demo.Connectors(p.URL())...)
	in.setApp("demo-oauth", demoApp)
	return in, p
}

var demoApp = records.App{ClientID: demo.ClientID, ClientSecrets: []secret.Text{secret.New(demo.ClientSecret)}}

// call makes an API request.
func (in *installation) call(method, path string, body, reply any) (status int, problem connectors.Error) {
	in.t.Helper()
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		must(in.t, err)
		reader = strings.NewReader(string(data))
	}
	req, err := http.NewRequestWithContext(in.t.Context(), method, in.url+path, reader)
	must(in.t, err)
	req.Header.Set("Authorization", "Bearer "+in.token.Reveal())
	resp, err := in.client.Do(req)
	must(in.t, err)
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	must(in.t, err)
	if resp.StatusCode/100 == 2 {
		if reply != nil {
			must(in.t, json.Unmarshal(data, reply))
		}
		return resp.StatusCode, connectors.Error{}
	}
	must(in.t, json.Unmarshal(data, &problem))
	return resp.StatusCode, problem
}

const onDemo = "/scopes/organization/acme/connections/demo-oauth"

// begin starts a flow and returns the callback's URL that the provider leads to.
func (in *installation) begin(b *testenv.Browser, path string, body any, decision url.Values) (callback string) {
	in.t.Helper()
	return in.consent(b, in.start(path, body), decision)
}

// start starts a flow, and returns the URL to open in the browser.
func (in *installation) start(path string, body any) string {
	in.t.Helper()
	var started struct {
		URL string `json:"authorization_url"`
	}
	if status, problem := in.call(http.MethodPut, path, body, &started); status != http.StatusOK {
		in.t.Fatalf("start: got %d %v, want 200", status, &problem)
	}
	return started.URL
}

// authorize opens a flow, plays the provider, which sends the browser back with a code
// and more parameters, and returns how the callback ended and the authorization request.
func (in *installation) authorize(b *testenv.Browser, start, more string) (status int, answer string, request url.Values) {
	in.t.Helper()
	_, to, text := b.Get(start)
	u, err := url.Parse(to)
	must(in.t, err)
	request = u.Query()
	if request.Get("redirect_uri") == "" {
		in.t.Fatalf("open: got %q %s, want an authorization request", to, text)
	}
	status, location, body := b.Get(request.Get("redirect_uri") + "?code=CODE&state=" + url.QueryEscape(request.Get("state")) + more)
	return status, location + body, request
}

func (in *installation) consent(b *testenv.Browser, start string, decision url.Values) (callback string) {
	in.t.Helper()
	status, authorize, text := b.Get(start)
	if status != http.StatusSeeOther {
		in.t.Fatalf("open: got %d %s, want 303", status, text)
	}
	_, callback, text = b.Post(authorize, decision)
	if callback == "" {
		in.t.Fatalf("consent: got no redirect but %q", text)
	}
	return callback
}

var approve = url.Values{"decision": {"approve"}}

// connectDemo connects acme to demo-oauth, and returns its grant's key.
func (in *installation) connectDemo() (grant string) {
	in.t.Helper()
	b := testenv.NewBrowser(in.t)
	if status, _, body := b.Get(in.begin(b, onDemo, map[string]any{}, approve)); status != http.StatusOK {
		in.t.Fatalf("callback: got %d %s, want 200", status, body)
	}
	return in.demoConnection().Grant
}

func (in *installation) demoConnection() *records.Connection { return in.connection("demo-oauth", "") }

// connection returns the record of a connection of acme.
func (in *installation) connection(connector, account string) *records.Connection {
	in.t.Helper()
	c, err := in.front.Service.Latest(in.t.Context(), records.NewRef(acme, connector, account))
	must(in.t, err)
	return c
}

func (in *installation) grant(key string) *records.Grant {
	in.t.Helper()
	g, err := in.front.Grants.Latest(in.t.Context(), key)
	must(in.t, err)
	return g
}

// expire makes the stored access token look expired.
func (in *installation) expire(key string) *records.Grant {
	in.t.Helper()
	for {
		g := in.grant(key)
		g.IssuedAt, g.ExpiresAt, g.RetryAt = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour), time.Time{}
		if err := in.front.Grants.Save(in.t.Context(), g); err == nil {
			return g
		}
	}
}

type counters struct{ Exchanges, Refreshes, Reuses, Revocations int }

func stats(t testing.TB, p *demo.Provider) (c counters) {
	t.Helper()
	resp, err := http.Get(p.URL() + "/_stats")
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	must(t, json.NewDecoder(resp.Body).Decode(&c))
	return c
}

func fault(t testing.TB, p *demo.Provider, endpoint, mode string, times int) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"endpoint": endpoint, "mode": mode, "times": times})
	must(t, err)
	resp, err := http.Post(p.URL()+"/_fault", "application/json", strings.NewReader(string(body)))
	must(t, err)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("set a fault: got %d, want 200", resp.StatusCode)
	}
}

// kinds lists the types of all lifecycle events so far.
func (in *installation) kinds() (kinds []string) {
	in.t.Helper()
	for _, e := range in.events() {
		kinds = append(kinds, strings.TrimPrefix(e.Type(), "hawser."))
	}
	return kinds
}

// eventsOf returns the data of all events of a kind so far.
func (in *installation) eventsOf(kind events.Kind) (all []events.Data) {
	in.t.Helper()
	for _, e := range in.events() {
		if e.Type() == kind.Type() {
			var data events.Data
			must(in.t, e.DataAs(&data))
			all = append(all, data)
		}
	}
	return all
}

// timers returns how many timers of grants have fired and were not handled, and how many
// are set.
func (in *installation) timers(t testing.TB) (due, set int) {
	t.Helper()
	fired, err := in.front.Queue.Streams.SubjectCounts(t.Context(), queue.Refresh, in.front.Queue.Subjects.RefreshesDue())
	must(t, err)
	pending, err := in.front.Queue.Streams.SubjectCounts(t.Context(), queue.Refresh, in.front.Queue.Subjects.RefreshTimers())
	must(t, err)
	return len(fired), len(pending)
}

func (in *installation) events() (out []events.Event) {
	in.t.Helper()
	state, err := in.front.Queue.Streams.State(in.t.Context(), events.Lifecycle)
	must(in.t, err)
	for sequence := uint64(1); uint64(len(out)) < state.Messages; sequence++ {
		d, err := in.front.Queue.Streams.Message(in.t.Context(), events.Lifecycle, sequence)
		must(in.t, err)
		e, err := events.Decode(d.Header, d.Data)
		must(in.t, err)
		out = append(out, e)
	}
	return out
}
