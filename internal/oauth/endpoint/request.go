package endpoint

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// tokenRequest is a request of the token endpoint, before the client is authenticated.
type tokenRequest struct {
	server    Server
	oauth2    *connectors.OAuth2 // nil: that of the server's connector
	url       string
	form      url.Values      // by the standard's parameter names
	method    string          // "" is POST
	omit      []string        // parameters that the server does not accept
	assertion *assertionGrant // in the place of client authentication; nil: none
	renewal   bool            // it renews a token: RefreshParams are added
	// revocation is a request of the revocation endpoint.
	revocation bool
}

// assertionGrant says how a JWT that the client signs is the grant (RFC 7523 section
// 2.1), or the bearer token of the request.
type assertionGrant struct {
	grantType string // "": none is sent
	param     string // that carries the JWT; "": the Authorization header does
	scope     string
	// allClaims adds the audience and the definition's claims.
	allClaims bool
}

// request makes a token request with the client's secrets in their order, until one is
// not refused as the client's: so a secret can be rotated without a gap.
func (c Client) request(ctx context.Context, r tokenRequest) (Response, error) {
	def := r.server.Connector
	if r.oauth2 == nil {
		r.oauth2 = def.Auth.OAuth2
	}
	certificate, err := def.ClientCertificate(r.server.Config)
	if err != nil {
		return Response{}, invalidConfig(err)
	}
	var last error
	for _, s := range r.server.secrets() {
		cred, err := newCredential(r.server, s, certificate)
		if err != nil {
			last = invalidClient(err)
			continue
		}
		values, err := r.values(s)
		if err != nil {
			return Response{}, invalidConfig(err)
		}
		got, failed := c.send(ctx, r, cred, values)
		if failed == nil {
			return got, nil
		}
		if failed.Kind != InvalidClient {
			return Response{}, failed
		}
		// A client that the config brings is refused for its connection alone.
		failed.Refusal = failed.Refusal || def.Auth.OAuth2.ClientID != ""
		last = failed
	}
	return Response{}, last
}

// values returns what the definition adds to the request.
func (r tokenRequest) values(clientSecret secret.Text) (connectors.TokenRequest, error) {
	values, err := r.server.Connector.TokenRequest(r.server.Config, r.server.client(clientSecret))
	if r.revocation {
		values.Params, values.RefreshParams, values.Headers = nil, nil, nil
	}
	if !r.renewal {
		values.RefreshParams = nil
	}
	return values, err
}

// send sends one request and reads its response.
func (c Client) send(ctx context.Context, r tokenRequest, cred credential, values connectors.TokenRequest) (Response, *Error) {
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	req, err := r.build(cred.withCertificate(ctx), cred, values, c.Now())
	if errors.Is(err, errCannotSign) {
		return Response{}, invalidClient(errCannotSign)
	}
	if err == nil {
		err = c.checkTime()
	}
	if err != nil {
		failed := noResponse(err)
		failed.MayHaveSucceeded = false
		return Response{}, failed
	}
	resp, err := c.transport().RoundTrip(req)
	if cred.certificateRefused(err) {
		return Response{}, invalidClient(errCertificateRefused)
	}
	if err != nil {
		return Response{}, noResponse(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	if err != nil {
		return Response{}, noResponse(err)
	}
	limit := r.server.Connector.RateLimit.ResponseError(resp, body)
	switch {
	case len(body) > maxResponse:
		return Response{}, unreadable(resp.StatusCode)
	case limit.RateLimited:
		return Response{}, &Error{Kind: Transient, Code: connectors.CodeConnectorOAuthTokenFailed, Status: resp.StatusCode, RetryAfter: limit.RetryAfter}
	}
	if r.revocation {
		failed := parseRevocation(resp.StatusCode)
		if failed != nil {
			failed.RetryAfter = limit.RetryAfter
		}
		return Response{}, failed
	}
	got, failed := parseResponse(r.oauth2, rawResponse{resp.StatusCode, resp.Header, body}, c.Now())
	if failed != nil && failed.Kind == Transient {
		failed.RetryAfter = limit.RetryAfter
	}
	return got, failed
}

// build returns the HTTP request: the standard's parameters with the client's
// authentication and the definition's own parameters, under the provider's names, in
// the provider's content type.
func (r tokenRequest) build(ctx context.Context, cred credential, values connectors.TokenRequest, now time.Time) (*http.Request, error) {
	claims := assertionClaims{audience: r.server.URLs.Token, own: values.Claims, now: now}
	standard, header, err := r.authenticated(cred, claims)
	if err != nil {
		return nil, err
	}
	form := url.Values{}
	for _, params := range []map[string]secret.Text{values.Params, values.RefreshParams} {
		for name, value := range params {
			form.Set(name, value.Reveal())
		}
	}
	for name := range standard {
		if own := r.oauth2.ParamName(name); own != "" {
			form.Set(own, standard.Get(name))
		}
	}
	for _, name := range r.omit {
		form.Del(r.oauth2.ParamName(name))
	}
	req, err := r.encode(ctx, form)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if r.oauth2.TokenBody == connectors.TokenBodyXML {
		req.Header.Set("Accept", "application/xml, application/json;q=0.9")
	}
	for name, value := range values.Headers {
		req.Header.Set(name, value.Reveal())
	}
	if header != "" && !slices.Contains(r.omit, "client_secret") {
		req.Header.Set("Authorization", header)
	}
	return req, signByCode(req, r.oauth2.SignToken, cred.secret)
}

// authenticated returns the form with the parameters that authenticate the client, and
// the Authorization header, "" if there is none.
func (r tokenRequest) authenticated(cred credential, claims assertionClaims) (form url.Values, header string, err error) {
	form = maps.Clone(r.form)
	if r.assertion == nil {
		params, header, err := cred.authentication(claims)
		maps.Copy(form, params)
		return form, header, err
	}
	if !r.assertion.allClaims {
		claims = assertionClaims{now: claims.now}
	}
	claims.scope = r.assertion.scope
	jwt, err := cred.sign(claims)
	if err != nil {
		return nil, "", err
	}
	if r.assertion.grantType != "" {
		form.Set("grant_type", r.assertion.grantType)
	}
	if claims.scope != "" && !cred.claimsScope() {
		form.Set("scope", claims.scope)
	}
	if r.assertion.param == "" {
		return form, "Bearer " + jwt, nil
	}
	form.Set(r.assertion.param, jwt)
	return form, "", nil
}

// encode returns a request with the form as its content, or as its query.
func (r tokenRequest) encode(ctx context.Context, form url.Values) (*http.Request, error) {
	content, contentType := form.Encode(), "application/x-www-form-urlencoded"
	switch r.oauth2.TokenBody {
	case connectors.TokenBodyQuery:
		content, contentType = "", ""
	case connectors.TokenBodyJSON:
		object := map[string]string{}
		for name := range form {
			object[name] = form.Get(name)
		}
		doc, err := json.Marshal(object)
		if err != nil {
			return nil, err
		}
		content, contentType = string(doc), "application/json"
	case connectors.TokenBodyXML:
		content, contentType = encodeXML(r.oauth2.XMLRoot(), form), "application/xml"
	}
	req, err := http.NewRequestWithContext(ctx, cmp.Or(r.method, http.MethodPost), r.url, strings.NewReader(content))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
		return req, nil
	}
	// The URL's own query stays as it is written.
	req.URL.RawQuery = strings.TrimPrefix(req.URL.RawQuery+"&"+form.Encode(), "&")
	if req.Method == http.MethodGet {
		// The transport repeats a GET without a body when a connection breaks, and the
		// repetition could spend a refresh token twice. This body, of no bytes and no
		// encoding, cannot be sent again.
		req.Body, req.GetBody = io.NopCloser(strings.NewReader("")), nil
		req.TransferEncoding = []string{"identity"}
	}
	return req, nil
}

// signByCode has the connector's code sign the request; sign is nil where it does not.
func signByCode(req *http.Request, sign func(*http.Request, []byte, secret.Text) error, clientSecret secret.Text) error {
	if sign == nil {
		return nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	if _, err = recovered(func() (any, error) { return nil, sign(req, body, clientSecret) }); err != nil {
		return errCannotSign // the text of the code's error may hold a secret
	}
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return nil
}
