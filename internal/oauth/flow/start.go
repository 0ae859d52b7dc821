package flow

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Starter starts flows, and redirects browsers to providers. Safe for concurrent use.
type Starter struct {
	connections *connection.Service
	servers     *endpoint.Servers
	grants      *records.Grants
	flows       *records.Flows
	links       *Links
	returns     returnURLs
	now         func() time.Time
}

// StartInput is the input of a flow.
type StartInput struct {
	connection.ConnectInput
	Scopes    []string // in place of the connector's; of those that it knows
	ReturnURL string
	// reconnect is the id of the connection that the flow renews, session the key of the
	// connect session that it belongs to.
	reconnect, session string
}

// Started is a flow that waits for a browser.
type Started struct {
	AuthorizationURL string    `json:"authorization_url"`
	ExpiresAt        time.Time `json:"expires_at"`

	record string // the key of the flow's record
}

// Start starts an authorisation. The URL is ours: opened in the end user's browser it
// binds the flow to that browser and redirects to the provider.
func (s *Starter) Start(ctx context.Context, r records.Ref, in StartInput) (*Started, error) {
	prepared, err := s.connections.Prepare(ctx, r, in.ConnectInput)
	if err != nil {
		return nil, err
	}
	def, config := prepared.Connector, prepared.Config
	if def.Auth.Kind != connectors.AuthOAuth2 {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s is not connected by a user's authorisation", r.Connector)
	}
	if withCode, err := s.servers.Connector(r.Connector); err != nil {
		return nil, err
	} else if err := endpoint.RequireCode(withCode); err != nil {
		return nil, err
	}
	if err := s.returns.check(in.ReturnURL); err != nil {
		return nil, err
	}
	server, err := s.servers.Server(ctx, def, config)
	if err != nil {
		return nil, err
	}
	scopes, err := s.scopes(ctx, r, server, in.Scopes)
	if err != nil {
		return nil, err
	}
	expires := s.now().Add(records.FlowLife).UTC()
	flow := &records.Flow{
		Scope: r.Scope, Identity: r.Identity, Connector: r.Connector, Account: r.Account, Replace: in.Replace || prepared.Existing != nil,
		Reconnect: in.reconnect, Session: in.session, Tags: in.Tags, Scopes: scopes,
		Redirect: s.links.redirectURI(r.Connector), ReturnURL: in.ReturnURL, ExpiresAt: expires,
	}
	text, h := s.links.newHandle()
	secrets := records.FlowSecrets{Config: secret.New(string(config))}
	if def.Auth.OAuth2.SendsChallenge() {
		secrets.Verifier = secret.New(oauth2.GenerateVerifier())
	} else if len(server.App.ClientSecrets) == 0 {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s sends no code challenge (pkce: false), so its app needs a client secret: set it with 'hawser app set %s'", def.Key, def.Key)
	}
	if err := s.flows.Create(ctx, h.record(), flow, secrets); err != nil {
		return nil, err
	}
	s.connections.Announce(ctx, events.OAuthStarted, connectionOf(flow, ""), events.Data{})
	return &Started{s.links.connectorURL(r.Connector, "start/"+text), expires, h.record()}, nil
}

// connectionOf returns the connection of a flow for its events. It may not exist yet.
func connectionOf(flow *records.Flow, id string) *records.Connection {
	return &records.Connection{ID: id, Scope: flow.Scope, Identity: flow.Identity, Connector: flow.Connector, Account: flow.Account}
}

// scopes returns the scopes to request: those asked for, else the app's, else the
// connector's; and, in a family, those that the tenant's account has granted already, so
// that one new grant serves all of its connections.
func (s *Starter) scopes(ctx context.Context, r records.Ref, server endpoint.Server, asked []string) ([]string, error) {
	o, app := server.Connector.Auth.OAuth2, server.App
	usual, err := server.Connector.ExpandScopes(server.Config, o.Scopes)
	if err != nil {
		return nil, err
	}
	optional, err := server.Connector.ExpandScopes(server.Config, o.OptionalScopes)
	if err != nil {
		return nil, err
	}
	scopes := usual
	if len(app.Scopes) > 0 {
		scopes = app.Scopes
	}
	if len(asked) > 0 {
		known := slices.Concat(usual, optional, app.Scopes)
		for _, scope := range asked {
			if !slices.Contains(known, scope) {
				e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the request is not valid")
				e.Errors = []schema.FieldError{{Path: "scopes", Message: "may hold only scopes of " + server.Connector.Key}}
				return nil, e
			}
		}
		scopes = asked
	}
	out := slices.Clone(scopes)
	if o.Family != "" {
		for g, err := range s.grants.List(ctx, r.Tokens()+"."+events.Token(o.Family)+".*") {
			if err != nil {
				return nil, err
			}
			if g.State == records.GrantLive && g.Companion == "" && g.ClientID == app.ClientID && usedBy(g, r.Account) {
				out = append(out, slices.Concat(g.Requested, g.Granted)...)
			}
		}
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(out, func(scope string) bool {
		again := seen[scope]
		seen[scope] = true
		return again
	}), nil
}

// usedBy reports whether a connection with the account's name uses the grant.
func usedBy(g *records.Grant, account string) bool {
	suffix := "." + events.Token(account)
	return slices.ContainsFunc(g.References, func(ref records.GrantReference) bool { return strings.HasSuffix(ref.Connection, suffix) })
}

// Open binds a flow to the browser that opens it first, and returns the provider's URL
// to redirect it to, and the cookie to set. Only that browser may open the flow again, or
// finish it. cookie returns the browser's cookie of a name.
func (s *Starter) Open(ctx context.Context, connector, handleText string, cookie func(name string) string) (to string, set Cookie, err error) {
	h, ok := s.links.parseHandle(handleText)
	if !ok {
		return "", Cookie{}, stateInvalid(reasonMalformed)
	}
	flow, err := s.flows.Latest(ctx, h.record())
	switch {
	case errors.Is(err, records.ErrNotFound):
		return "", Cookie{}, stateInvalid(reasonExpired)
	case err != nil:
		return "", Cookie{}, err
	case flow.Used:
		return "", Cookie{}, stateInvalid(reasonReplayed)
	case !s.now().Before(flow.ExpiresAt):
		return "", Cookie{}, stateInvalid(reasonExpired)
	case flow.Connector != connector:
		return "", Cookie{}, stateInvalid(reasonMismatch)
	}
	def, err := s.servers.Connector(connector)
	if err != nil {
		return "", Cookie{}, err
	}
	set = s.links.cookie(h.record(), flow.ExpiresAt)
	if def.Auth.OAuth2.AnswersByForm() {
		set.CrossSite, set.Secure = true, true // browsers take SameSite=None with Secure only
	}
	set.Value = cookie(set.Name)
	if flow.Browser == "" {
		set.Value = encoding.EncodeToString(random())
		flow.Browser = cookieHash(set.Value)
		if err := s.flows.Save(ctx, flow); errors.Is(err, records.ErrConflict) {
			return "", Cookie{}, stateInvalid(reasonWrongBrowser)
		} else if err != nil {
			return "", Cookie{}, err
		}
	}
	if !sameHash(flow.Browser, cookieHash(set.Value)) {
		return "", Cookie{}, stateInvalid(reasonWrongBrowser)
	}
	to, err = s.authorizationURL(ctx, flow, h)
	return to, set, err
}
