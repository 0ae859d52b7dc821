package api

import (
	"bytes"
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
	"github.com/hawser-io/hawser/internal/safehttp"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

const (
	// proxyTimeout bounds a call of a provider, its answer included.
	proxyTimeout = 60 * time.Second
	// accountHeader selects the connection where the provider has a query
	// parameter of its own that is called account.
	accountHeader = "Hawser-Account"
	// providerStatus marks what the provider said: without it, the answer is ours.
	providerStatus = "Hawser-Provider-Status"
)

// notForwarded are headers that belong to one of the two connections, or that tell
// the provider of the caller what is none of its business.
var notForwarded = map[string]bool{
	"Authorization": true, "Cookie": true, "Set-Cookie": true, "Proxy-Authorization": true, "Proxy-Authenticate": true,
	"Proxy-Connection": true, "Connection": true, "Keep-Alive": true, "Te": true, "Trailer": true, "Transfer-Encoding": true,
	"Upgrade": true, "Content-Length": true, "Expect": true, "Forwarded": true, "X-Real-Ip": true, "Traceparent": true,
	"Tracestate": true, "Alt-Svc": true, "Strict-Transport-Security": true,
}

// proxy calls providers' APIs with the auth of a connection.
type proxy struct {
	service *connection.Service
	store   *records.Connections
	oauth   *flow.Service
	http    *http.Client
	base    BasePath
	waiting *semaphore.Weighted
}

// serve is ANY …/connections/{connector}/proxy/{path}: the caller's request goes to
// the provider, below the connection's base URL and with its auth, and the
// provider's answer comes back as it is.
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
	h.Set("Content-Security-Policy", "sandbox") // it is not our page
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(w, resp.Body); err != nil {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
}

// forward sends the request on.
func (p *proxy) forward(w http.ResponseWriter, r *http.Request) (*http.Response, error) {
	account, query := accountOf(r)
	ref := records.NewRef(events.Tenant{Scope: r.PathValue("scope"), Identity: p.base.Identity(r)}, r.PathValue("connector"), account)
	base, client, err := p.clientOf(r, ref)
	if err != nil {
		return nil, err
	}
	target, err := p.targetOf(r, base, query)
	if err != nil {
		return nil, err
	}
	body, err := problem.ReadBody(w, r, maxRequestBody, connectors.CodeConnectorConfigInvalid)
	if err != nil {
		return nil, err
	}
	out, err := http.NewRequestWithContext(r.Context(), r.Method, target, bytes.NewReader(body))
	if err != nil {
		return nil, problem.Invalid("path", "is no path of a provider")
	}
	copyHeaders(out.Header, r.Header)
	if out.Header["User-Agent"] == nil {
		out.Header.Set("User-Agent", "hawser")
	}
	resp, err := client.Do(out)
	if err != nil {
		return nil, unreached(err)
	}
	return resp, nil
}

// clientOf returns the base URL of a connection, and a client that carries its auth
// there and nowhere else.
func (p *proxy) clientOf(r *http.Request, ref records.Ref) (base string, client *http.Client, err error) {
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
	config, err := p.store.OpenConfig(conn)
	if err != nil {
		return "", nil, err
	}
	runtime, err := def.Resolve(config)
	if err != nil {
		return "", nil, err
	}
	carrying := connectors.NewTransport(p.http.Transport, runtime)
	if conn.Grant != "" {
		carrying = p.oauth.Tokens.Source.Transport(p.http.Transport, def, conn.Grant, runtime)
	}
	return runtime.BaseURL, &http.Client{
		Transport: carrying, Timeout: proxyTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// targetOf is the address to call: the path behind …/proxy/ as it was written,
// below the base URL and nowhere else.
func (p *proxy) targetOf(r *http.Request, base, query string) (string, error) {
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

// accountOf takes the account out of a request, and returns the query that is left.
// Of the query only that parameter is ours.
func accountOf(r *http.Request) (account, query string) {
	if account = r.Header.Get(accountHeader); account != "" {
		return account, r.URL.RawQuery
	}
	var rest []string
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if value, ours := strings.CutPrefix(pair, "account="); ours {
			if plain, err := url.QueryUnescape(value); err == nil {
				account = plain
				continue
			}
		}
		rest = append(rest, pair)
	}
	return account, strings.Join(rest, "&")
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

// unreached is what the caller is told when the provider gave no answer. The error
// itself may hold addresses, so it is not shown.
func unreached(err error) *connectors.Error {
	e := connectors.AsError(err)
	switch {
	case e.Code != connectors.CodeInternal && e.Code != connectors.CodeConnectorActionTimeout:
		return e
	case safehttp.Refused(err):
		e = connectors.Errorf(connectors.CodeConnectorActionFailed, "the provider's address may not be called; the operator allows networks (HAWSER_ALLOW_NETWORKS)")
	case isTimeout(err):
		e = connectors.Errorf(connectors.CodeConnectorActionTimeout, "the provider did not answer in time")
	default:
		e = connectors.Errorf(connectors.CodeConnectorActionFailed, "the provider could not be reached")
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
