package api

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/oauth/flow"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

const (
	// proxyTimeout bounds a call of a provider, its answer included.
	proxyTimeout = 60 * time.Second
	// accountHeader selects the connection where the provider has a query parameter
	// named account.
	accountHeader = "Hawser-Account"
	// providerStatus marks a provider's response: a response without it is ours.
	providerStatus = "Hawser-Provider-Status"
)

// notForwarded are the headers of one hop, those with credentials, and those with
// addresses of the caller.
var notForwarded = map[string]bool{
	"Authorization": true, "Cookie": true, "Set-Cookie": true, "Proxy-Authorization": true, "Proxy-Authenticate": true,
	"Proxy-Connection": true, "Connection": true, "Keep-Alive": true, "Te": true, "Trailer": true, "Transfer-Encoding": true,
	"Upgrade": true, "Content-Length": true, "Expect": true, "Forwarded": true, "X-Real-Ip": true, "Traceparent": true,
	"Tracestate": true, "Alt-Svc": true, "Strict-Transport-Security": true,
}

// proxy calls providers' APIs with the auth of a connection.
type proxy struct {
	service *connection.Service
	oauth   *flow.Service
	http    *http.Client
	base    BasePath
	waiting *semaphore.Weighted
}

// serve is ANY …/connections/{connector}/proxy/{path}: the caller's request goes to
// the provider, below the connection's base URL and with its auth, and the provider's
// response is returned unchanged.
func (p *proxy) serve(w http.ResponseWriter, r *http.Request) {
	if !p.waiting.TryAcquire(1) {
		problem.Write(w, problem.Overloaded("too many requests wait"))
		return
	}
	defer p.waiting.Release(1)
	resp, err := p.forward(w, r)
	if err != nil {
		problem.Write(w, err)
		return
	}
	defer func() { _ = resp.Body.Close() }()
	h := w.Header()
	copyHeaders(h, resp.Header)
	h.Set(providerStatus, strconv.Itoa(resp.StatusCode))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox") // the page is not ours
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(w, resp.Body); err != nil {
		panic(http.ErrAbortHandler) // so that a truncated response is not taken for a whole one
	}
}

// forward sends the request to the provider.
func (p *proxy) forward(w http.ResponseWriter, r *http.Request) (*http.Response, error) {
	account, query := splitAccount(r)
	ref := records.NewRef(events.Tenant{Scope: r.PathValue("scope"), Identity: p.base.Identity(r)}, r.PathValue("connector"), account)
	base, client, err := p.client(r, ref)
	if err != nil {
		return nil, err
	}
	target, err := p.target(r, base, query)
	if err != nil {
		return nil, err
	}
	body, err := problem.ReadBody(w, r, maxRequestBody, connectors.CodeRequestInvalid)
	if err != nil {
		return nil, err
	}
	out, err := http.NewRequestWithContext(r.Context(), r.Method, target, bytes.NewReader(body))
	if err != nil {
		return nil, problem.Invalid("path", "is not a valid path")
	}
	copyHeaders(out.Header, r.Header)
	if out.Header["User-Agent"] == nil {
		out.Header.Set("User-Agent", "hawser")
	}
	resp, err := client.Do(out)
	if err != nil {
		return nil, callError(err)
	}
	return resp, nil
}

// client returns the base URL of a connection, and a client that sends its auth
// there and nowhere else.
func (p *proxy) client(r *http.Request, ref records.Ref) (base string, client *http.Client, err error) {
	def, err := p.service.Connector(ref.Connector)
	if err != nil {
		return "", nil, err
	}
	conn, err := p.service.Latest(r.Context(), ref)
	if err != nil {
		return "", nil, err
	}
	if err := conn.Usable(); err != nil {
		return "", nil, err
	}
	config, err := p.service.ConfigOf(conn)
	if err != nil {
		return "", nil, err
	}
	runtime, err := def.Resolve(config)
	if err != nil {
		return "", nil, err
	}
	transport := connectors.NewTransport(p.http.Transport, runtime)
	if conn.Grant != "" {
		transport = p.oauth.Tokens.Source.Transport(p.http.Transport, def, conn.Grant, runtime)
	}
	return runtime.BaseURL, &http.Client{
		Transport: transport, Timeout: proxyTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// target returns the URL to call: the path after …/proxy/ as it was written, below the
// base URL and nowhere else.
func (p *proxy) target(r *http.Request, base, query string) (string, error) {
	if u, err := url.Parse(base); err != nil || u.Host == "" {
		return "", connectors.Errorf(connectors.CodeConnectorConfigInvalid, "%s has no base URL that could be called", r.PathValue("connector"))
	}
	// /scopes/{scope}/{identity}/connections/{connector}/proxy/{path}
	parts := strings.SplitN(strings.TrimPrefix(r.URL.EscapedPath(), string(p.base)), "/", 8)
	path := parts[len(parts)-1]
	plain, err := url.PathUnescape(path)
	if err != nil || slices.ContainsFunc(strings.FieldsFunc(plain, func(c rune) bool { return c == '/' || c == '\\' }), func(s string) bool { return s == "." || s == ".." }) {
		return "", problem.Invalid("path", "must not leave the base URL")
	}
	target := strings.TrimSuffix(base, "/") + "/" + path
	if query != "" {
		target += "?" + query
	}
	return target, nil
}

// splitAccount returns the account that a request selects, and its query without that
// parameter.
func splitAccount(r *http.Request) (account, query string) {
	if account = r.Header.Get(accountHeader); account != "" {
		return account, r.URL.RawQuery
	}
	var pairs []string
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if value, ok := strings.CutPrefix(pair, "account="); ok {
			if plain, err := url.QueryUnescape(value); err == nil {
				account = plain
				continue
			}
		}
		pairs = append(pairs, pair)
	}
	return account, strings.Join(pairs, "&")
}

func copyHeaders(to, from http.Header) {
	dropped := map[string]bool{}
	for _, line := range from.Values("Connection") {
		for name := range strings.SplitSeq(line, ",") {
			dropped[textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))] = true
		}
	}
	for name, values := range from {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if !notForwarded[name] && !dropped[name] && !strings.HasPrefix(name, "X-Forwarded-") && !strings.HasPrefix(name, "Hawser-") {
			to[name] = values
		}
	}
}

// callError is the problem of a provider that did not respond. The error's own text may
// have addresses, so it is not shown.
func callError(err error) *connectors.Error {
	e := connectors.AsError(err)
	switch {
	case e.Code != connectors.CodeInternal && e.Code != connectors.CodeConnectorActionTimeout:
		return e
	case isTimeout(err):
		e = connectors.Errorf(connectors.CodeConnectorActionTimeout, "the provider did not answer in time")
	default:
		e = connectors.Errorf(connectors.CodeConnectorActionFailed, "%s", cmp.Or(connectors.CallFailure(err), "the provider could not be reached"))
	}
	e.Cause = err
	return e
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && timeout.Timeout()
}
