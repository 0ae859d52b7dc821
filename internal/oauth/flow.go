package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Flow takes users' browsers to providers and back. Any node can take any step.
// Safe for concurrent use.
type Flow struct {
	*Tokens
	flows    *records.Flows
	sessions *records.Sessions
}

// NewFlow returns the flow over tokens.
func NewFlow(tokens *Tokens, flows *records.Flows, sessions *records.Sessions) *Flow {
	return &Flow{tokens, flows, sessions}
}

// StartInput is what starting takes.
type StartInput struct {
	connection.ConnectInput
	Scopes    []string // in place of the connector's; of those that it knows
	ReturnURL string
	// reconnect is the id of the connection that the flow renews, session the key
	// of the connect session that it belongs to.
	reconnect, session string
}

// Started is a flow that waits for a browser.
type Started struct {
	AuthorizationURL string    `json:"authorization_url"`
	ExpiresAt        time.Time `json:"expires_at"`

	record string // where the flow lies
}

// Start begins an authorisation. The URL is ours: opened in the end user's browser
// it binds the flow to that browser and goes on to the provider.
func (f *Flow) Start(ctx context.Context, r records.Ref, in StartInput) (*Started, error) {
	def, config, old, err := f.Service.Prepare(ctx, r, in.ConnectInput)
	if err != nil {
		return nil, err
	}
	if def.Auth.Kind != connectors.AuthOAuth2 {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s is not connected by a user's authorisation", r.Connector)
	}
	if withCode, err := f.connector(r.Connector); err != nil {
		return nil, err
	} else if err := complete(withCode); err != nil {
		return nil, err
	}
	if err := f.checkReturn(in.ReturnURL); err != nil {
		return nil, err
	}
	app, err := f.appOf(ctx, def, config)
	if err != nil {
		return nil, err
	}
	if _, err := def.OAuthEndpoints(config); err != nil {
		return nil, err
	}
	scopes, err := f.scopes(ctx, r, def, app, in.Scopes)
	if err != nil {
		return nil, err
	}
	expires := f.opts.Now().Add(records.FlowLife).UTC()
	flow := &records.Flow{
		Scope: r.Scope, Identity: r.Identity, Connector: r.Connector, Account: r.Account, Replace: in.Replace || old != nil,
		Reconnect: in.reconnect, Session: in.session, Tags: in.Tags, Scopes: scopes,
		Redirect: f.redirectURI(r.Connector), ReturnURL: in.ReturnURL, ExpiresAt: expires,
	}
	text, h := newHandle(f.Key)
	secrets := records.FlowSecrets{Config: secret.New(string(config)), Verifier: secret.New(oauth2.GenerateVerifier())}
	if err := f.flows.Create(ctx, h.record(), flow, secrets); err != nil {
		return nil, err
	}
	f.announce(ctx, events.OAuthStarted, flow, "", events.Data{})
	return &Started{f.opts.BaseURL + "/connectors/" + r.Connector + "/oauth/start/" + text, expires, h.record()}, nil
}

func (f *Flow) redirectURI(connector string) string {
	return f.opts.BaseURL + "/connectors/" + connector + "/oauth/callback"
}

// scopes are what is asked for: those of the request, else of the app, else of the
// connector; and, in a family, what the tenant's account has granted already, so
// that one new grant serves all of its connections.
func (f *Flow) scopes(ctx context.Context, r records.Ref, def *connectors.Connector, app records.App, asked []string) ([]string, error) {
	o := def.Auth.OAuth2
	scopes := o.Scopes
	if len(app.Scopes) > 0 {
		scopes = app.Scopes
	}
	if len(asked) > 0 {
		known := slices.Concat(o.Scopes, o.OptionalScopes, app.Scopes)
		for _, s := range asked {
			if !slices.Contains(known, s) {
				e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the request is not valid")
				e.Errors = []schema.FieldError{{Path: "scopes", Message: "may hold only scopes of " + def.Key}}
				return nil, e
			}
		}
		scopes = asked
	}
	out := slices.Clone(scopes)
	if o.Family != "" {
		for g, err := range f.Grants.List(ctx, r.Tokens()+"."+events.Token(o.Family)+".*") {
			if err != nil {
				return nil, err
			}
			if g.State == records.GrantLive && g.Companion == "" && g.ClientID == app.ClientID && usedBy(g, r.Account) {
				out = append(out, slices.Concat(g.Requested, g.Granted)...)
			}
		}
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(out, func(s string) bool {
		again := seen[s]
		seen[s] = true
		return again
	}), nil
}

// usedBy reports whether a connection with the account's name shares the grant.
func usedBy(g *records.Grant, account string) bool {
	suffix := "." + events.Token(account)
	return slices.ContainsFunc(g.References, func(h records.GrantReference) bool { return strings.HasSuffix(h.Connection, suffix) })
}

// checkReturn refuses return URLs that are not of this installation's choice.
func (f *Flow) checkReturn(text string) error {
	if text == "" || f.allowedReturn(text) {
		return nil
	}
	e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the return URL is not allowed")
	e.Errors = []schema.FieldError{{Path: "return_url", Message: "must lie below the base URL, or below one that the operator allows (HAWSER_RETURN_URLS)"}}
	return e
}

func (f *Flow) allowedReturn(text string) bool {
	if len(text) > 2048 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' }) {
		return false
	}
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.Opaque != "" || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	own, err := url.Parse(f.opts.BaseURL)
	if err == nil && u.Scheme == own.Scheme && strings.EqualFold(u.Host, own.Host) {
		return true
	}
	return slices.ContainsFunc(f.opts.ReturnURLs, func(allowed string) bool {
		a, err := url.Parse(allowed)
		if err != nil || u.Scheme != a.Scheme || !strings.EqualFold(u.Host, a.Host) {
			return false
		}
		prefix := strings.TrimSuffix(a.Path, "/")
		return !strings.Contains(u.Path, "..") && (u.Path == prefix || strings.HasPrefix(u.Path, prefix+"/"))
	})
}

// Open is a browser's way to the provider. cookie is what it has under a name. It
// returns where to send it, and the cookie to set. The first browser to open a flow
// is the one that may finish it; it may open it again.
func (f *Flow) Open(ctx context.Context, connector, handleText string, cookie func(name string) string) (to string, set Cookie, err error) {
	h, ok := parseHandle(f.Key, handleText)
	if !ok {
		return "", Cookie{}, stateInvalid(reasonMalformed)
	}
	flow, err := f.flows.Latest(ctx, h.record())
	switch {
	case errors.Is(err, records.ErrNotFound):
		return "", Cookie{}, stateInvalid(reasonExpired)
	case err != nil:
		return "", Cookie{}, err
	case flow.Used:
		return "", Cookie{}, stateInvalid(reasonReplayed)
	case !f.opts.Now().Before(flow.ExpiresAt):
		return "", Cookie{}, stateInvalid(reasonExpired)
	case flow.Connector != connector:
		return "", Cookie{}, stateInvalid(reasonMismatch)
	}
	set = f.flowCookie(h, flow)
	set.Value = cookie(set.Name)
	if flow.Browser == "" {
		set.Value = encoding.EncodeToString(random())
		flow.Browser = cookieHash(set.Value)
		if err := f.flows.Save(ctx, flow); errors.Is(err, records.ErrConflict) {
			return "", Cookie{}, stateInvalid(reasonWrongBrowser)
		} else if err != nil {
			return "", Cookie{}, err
		}
	}
	if !sameHash(flow.Browser, cookieHash(set.Value)) {
		return "", Cookie{}, stateInvalid(reasonWrongBrowser)
	}
	to, err = f.providerURL(ctx, flow, h)
	return to, set, err
}

func (f *Flow) flowCookie(h handle, flow *records.Flow) Cookie {
	secure := strings.HasPrefix(f.opts.BaseURL, "https://")
	return Cookie{Name: cookieName(secure, h.record()), MaxAge: max(flow.ExpiresAt.Sub(f.opts.Now()), time.Second), Secure: secure}
}

// providerURL is the authorization request. What the flow itself sends comes last:
// nothing that a definition or an app adds can take its place.
func (f *Flow) providerURL(ctx context.Context, flow *records.Flow, h handle) (string, error) {
	secrets, err := f.flows.Open(flow)
	if err != nil {
		return "", err
	}
	def, err := f.connector(flow.Connector)
	if err != nil {
		return "", err
	}
	config := []byte(secrets.Config.Reveal())
	urls, err := def.OAuthEndpoints(config)
	if err != nil {
		return "", err
	}
	app, err := f.appOf(ctx, def, config)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(urls.Authorization)
	if err != nil {
		return "", fmt.Errorf("the authorization URL of %s cannot be read", def.Key)
	}
	q := url.Values{}
	for _, companion := range def.Auth.OAuth2.Companions {
		if len(companion.Scopes) > 0 {
			q.Set(companion.ScopeParam, def.Auth.OAuth2.JoinScopes(companion.Scopes))
		}
	}
	for _, extra := range []map[string]string{def.Auth.OAuth2.ExtraParams, app.ExtraParams} {
		for name, value := range maps.All(extra) {
			if value != "" {
				q.Set(name, value)
			}
		}
	}
	o := def.Auth.OAuth2
	own := map[string]string{
		"client_id": app.ClientID, "redirect_uri": flow.Redirect, "response_type": "code", "state": h.state(f.Key, flow.ExpiresAt),
		"code_challenge": oauth2.S256ChallengeFromVerifier(secrets.Verifier.Reveal()), "code_challenge_method": "S256",
		"scope": o.JoinScopes(flow.Scopes),
	}
	for name := range q {
		// Also in another case: some servers read names without regard to it.
		if slices.ContainsFunc(ours, func(our string) bool {
			return strings.EqualFold(name, our) || strings.EqualFold(name, o.ParamName(our))
		}) {
			q.Del(name)
		}
	}
	for name, value := range own {
		if name = o.ParamName(name); name != "" && value != "" {
			q.Set(name, value)
		}
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// ours are the parameters of the authorization request that the flow itself sends.
var ours = []string{"client_id", "client_secret", "redirect_uri", "response_type", "response_mode", "state", "scope", "code_challenge", "code_challenge_method"}

// Reconnect starts a flow by a reconnect link, and returns where to send the
// browser next: to our own URL that binds it.
func (f *Flow) Reconnect(ctx context.Context, connector, token string) (string, error) {
	body, signature, _ := strings.Cut(token, ".")
	raw, err := decodeURL(body)
	mac, macErr := decodeURL(signature)
	if err != nil || macErr != nil {
		return "", stateInvalid(reasonMalformed)
	}
	if !equalMAC(mac, sign(f.Key, []byte("reconnect"), raw)) {
		return "", stateInvalid(reasonBadSignature)
	}
	var link reconnect
	if json.Unmarshal(raw, &link) != nil {
		return "", stateInvalid(reasonMalformed)
	}
	if !f.opts.Now().Before(time.Unix(link.Expires, 0)) {
		return "", stateInvalid(reasonExpired)
	}
	c, err := f.Service.LatestByKey(ctx, link.Key)
	if err != nil {
		return "", err
	}
	switch {
	case c.ID != link.ID || c.Connector != connector:
		return "", stateInvalid(reasonMismatch)
	case c.State != records.NeedsReauth && !f.awaitsUser(ctx, c):
		return "", stateInvalid(reasonReplayed)
	}
	config, err := f.Service.ConfigOf(c)
	if err != nil {
		return "", err
	}
	started, err := f.Start(ctx, c.Ref(), StartInput{
		ConnectInput: connection.ConnectInput{Config: config, Replace: true}, reconnect: c.ID,
	})
	if err != nil {
		return "", err
	}
	return started.AuthorizationURL, nil
}

// awaitsUser reports whether a connection that works has asked its user to come: one of
// its tokens is dead, or will be.
func (f *Flow) awaitsUser(ctx context.Context, c *records.Connection) bool {
	for _, key := range append(slices.Collect(maps.Values(c.Companions)), c.Grant) {
		g, err := f.Grants.Latest(ctx, key)
		if errors.Is(err, records.ErrNotFound) || err == nil && (g.State != records.GrantLive || g.ExpiryWarned) {
			return true
		}
	}
	return false
}

// announce publishes an event about a flow, which may have no connection yet.
func (f *Flow) announce(ctx context.Context, kind events.Kind, flow *records.Flow, id string, data events.Data) {
	c := &records.Connection{ID: id, Scope: flow.Scope, Identity: flow.Identity, Connector: flow.Connector, Account: flow.Account}
	f.Service.Announce(ctx, kind, c, data)
}
