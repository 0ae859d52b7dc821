package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/safehttp"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// maxReply bounds what a token endpoint may answer.
const maxReply = 1 << 20

// endpoint is a token endpoint with the client that calls it.
type endpoint struct {
	def    *connectors.Connector
	url    string
	config []byte // of the connection, where the definition uses it
	app    records.App
	http   *http.Client
	now    func() time.Time
	limit  time.Duration
	// before is asked right before a request leaves; an error keeps it back.
	before func() error
	// bare is that requests carry a JWT which says who the client is, and nothing else
	// that does.
	bare bool
}

// exchange trades a code for tokens.
func (e endpoint) exchange(ctx context.Context, code, verifier secret.Text, redirect string) (reply, *failure) {
	return e.withEachSecret(ctx, func(ctx context.Context, c credential) error {
		config := e.oauth2(c)
		config.RedirectURL = redirect
		_, err := config.Exchange(ctx, code.Reveal(), oauth2.VerifierOption(verifier.Reveal()))
		return err
	})
}

// refresh trades a refresh token for tokens. x/oauth2's own source of tokens is
// asked exactly once and thrown away: it would keep a rotated token to itself.
func (e endpoint) refresh(ctx context.Context, token secret.Text) (reply, *failure) {
	return e.withEachSecret(ctx, func(ctx context.Context, c credential) error {
		_, err := e.oauth2(c).TokenSource(ctx, &oauth2.Token{RefreshToken: token.Reveal()}).Token()
		return err
	})
}

func (e endpoint) oauth2(c credential) *oauth2.Config {
	return &oauth2.Config{ClientID: c.id, ClientSecret: c.plain(), Endpoint: oauth2.Endpoint{TokenURL: e.url, AuthStyle: e.style()}}
}

func (e endpoint) style() oauth2.AuthStyle {
	if e.def.Auth.OAuth2.ClientAuth == connectors.ClientAuthBasic {
		return oauth2.AuthStyleInHeader
	}
	return oauth2.AuthStyleInParams
}

// withEachSecret calls with the client's secrets in their order, until one is not
// refused as the client's: so a secret can be rotated without a gap.
func (e endpoint) withEachSecret(ctx context.Context, call func(ctx context.Context, c credential) error) (reply, *failure) {
	r, err := e.reader()
	if err != nil {
		return reply{}, &failure{verdict: refused, code: connectors.CodeConnectorConfigInvalid, cause: err}
	}
	own, err := e.def.ClientCertificate(e.config)
	if err != nil {
		return reply{}, &failure{verdict: refused, code: connectors.CodeConnectorConfigInvalid, cause: err}
	}
	var last *failure
	for _, s := range secretsOf(e.app) {
		c, err := newCredential(e.def.Auth.OAuth2, e.app.ClientID, s, own)
		if err != nil {
			last = unusable(err)
			continue
		}
		r.credential = c
		out, failed := e.once(ctx, r, func(ctx context.Context) error { return call(ctx, c) })
		if failed == nil || failed.verdict != badClient {
			return out, failed
		}
		last = failed
	}
	return reply{}, last
}

// once makes one call. What the endpoint answers is read by us, in every dialect;
// x/oauth2 sees a plain answer in its place, and none of the provider's texts.
func (e endpoint) once(ctx context.Context, r reader, call func(context.Context) error) (reply, *failure) {
	ctx, cancel := context.WithTimeout(ctx, e.limit)
	defer cancel()
	ctx = r.credential.presenting(ctx)
	client := &http.Client{Transport: &r, CheckRedirect: e.http.CheckRedirect}
	err := call(context.WithValue(ctx, oauth2.HTTPClient, client))
	switch {
	case r.failed != nil:
		return reply{}, r.failed
	case !r.answered && errors.Is(err, errUnsigned):
		return reply{}, unusable(errUnsigned)
	case !r.answered && r.credential.turnedAway(err):
		return reply{}, unusable(errNotTaken)
	case !r.answered:
		return reply{}, e.unanswered(err)
	}
	return r.reply, nil
}

// clientOf is the client that once has made for a call.
func clientOf(ctx context.Context) *http.Client {
	return ctx.Value(oauth2.HTTPClient).(*http.Client)
}

// errHeldBack is why a request did not leave.
var errHeldBack = errors.New("the request was held back")

// unanswered tells calls that cannot have reached the provider from those that may.
func (e endpoint) unanswered(err error) *failure {
	f := &failure{verdict: transient, code: connectors.CodeConnectorOAuthTokenFailed, lost: true, cause: err}
	var dial *net.OpError
	switch {
	case safehttp.Refused(err):
		f.verdict, f.lost = refused, false
	case errors.Is(err, errHeldBack), errors.As(err, &dial) && dial.Op == "dial":
		f.lost = false
	}
	return f
}

// reader is the transport below x/oauth2.
type reader struct {
	endpoint
	credential credential
	request    connectors.TokenRequest
	audience   string // of assertions
	answered   bool
	reply      reply
	failed     *failure
}

// reader fills in what requests hold of the config.
func (e endpoint) reader() (reader, error) {
	request, err := e.def.TokenRequest(e.config)
	if err != nil {
		return reader{}, err
	}
	urls, err := e.def.OAuthEndpoints(e.config)
	return reader{endpoint: e, request: request, audience: urls.Token}, err
}

// RoundTrip implements http.RoundTripper.
func (r *reader) RoundTrip(req *http.Request) (*http.Response, error) {
	o := r.def.Auth.OAuth2
	if err := r.rewrite(req); err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if o.TokenBody == connectors.TokenBodyXML {
		req.Header.Set("Accept", "application/xml, application/json;q=0.9")
	}
	if err := r.sign(req); err != nil {
		return nil, err
	}
	if r.before != nil {
		if err := r.before(); err != nil {
			return nil, err
		}
	}
	base := r.http.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	resp, err := base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err != nil {
		return nil, err
	}
	r.answered = true
	switch limit := r.def.RateLimit.ResponseError(resp, body); {
	case len(body) > maxReply:
		r.failed = unreadable(resp.StatusCode)
	case limit.RateLimited:
		r.failed = &failure{verdict: transient, code: connectors.CodeConnectorOAuthTokenFailed, status: resp.StatusCode, retryAfter: limit.RetryAfter}
	default:
		if r.reply, r.failed = parseReply(o, resp.StatusCode, resp.Header, body, r.now()); r.failed != nil && r.failed.verdict == transient {
			r.failed.retryAfter = limit.RetryAfter
		}
	}
	return &http.Response{
		StatusCode: http.StatusOK, Status: "200 OK", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   io.NopCloser(strings.NewReader(`{"access_token":"-","token_type":"Bearer"}`)),
	}, nil
}

// rewrite says what the standard's form says as the provider wants to hear it: with
// what it wants besides, under its names, in its kind of body.
func (r *reader) rewrite(req *http.Request) error {
	o := r.def.Auth.OAuth2
	plain := o.TokenBody == "" || o.TokenBody == connectors.TokenBodyForm
	signs := o.ClientAuth.SignsJWT() && !r.bare
	if len(r.request.Params) == 0 && len(o.ParamNames) == 0 && plain && !signs {
		return nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	standard, err := url.ParseQuery(string(body))
	if err != nil {
		return err
	}
	if signs {
		said, _, err := r.credential.said(assertionClaims{audience: r.audience, own: r.request.Claims, now: r.now()})
		if err != nil {
			return err
		}
		maps.Copy(standard, said)
	}
	form := url.Values{}
	for name, value := range r.request.Params {
		form.Set(name, value.Reveal())
	}
	for name := range standard {
		if own := o.ParamName(name); own != "" {
			form.Set(own, standard.Get(name))
		}
	}
	return write(req, o, form)
}

// write makes the form the request's content.
func write(req *http.Request, o *connectors.OAuth2, form url.Values) error {
	content := form.Encode()
	switch o.TokenBody {
	case connectors.TokenBodyQuery:
		query := req.URL.Query()
		maps.Copy(query, form)
		req.URL.RawQuery, content = query.Encode(), ""
		req.Header.Del("Content-Type")
	case connectors.TokenBodyJSON:
		object := map[string]string{}
		for name := range form {
			object[name] = form.Get(name)
		}
		doc, err := json.Marshal(object)
		if err != nil {
			return err
		}
		content = string(doc)
		req.Header.Set("Content-Type", "application/json")
	case connectors.TokenBodyXML:
		content = encodeXML(o.XMLRoot(), form)
		req.Header.Set("Content-Type", "application/xml")
	}
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(content)), int64(len(content))
	req.GetBody = nil // a second sending could spend a refresh token twice
	return nil
}
