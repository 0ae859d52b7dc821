package flow

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/oauth/token"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// complete turns a checked callback into a connection. Once the code is exchanged, the
// work continues without the browser.
func (c *Callbacks) complete(ctx context.Context, flow *records.Flow, query url.Values) (status, webhookURL string, err error) {
	def, err := c.tokens.Parts.Servers.Connector(flow.Connector)
	if err != nil {
		return "", "", err
	}
	code, refusal := codeOf(def.Auth.OAuth2, query)
	if refusal != nil {
		return "", "", refusal
	}
	secrets, err := c.flows.Open(flow)
	if err != nil {
		return "", "", err
	}
	if err := endpoint.RequireCode(def); err != nil {
		return "", "", err
	}
	config, err := withCallbackParams(def, json.RawMessage(secrets.Config.Reveal()), query)
	if err != nil {
		return "", "", err
	}
	server, err := c.tokens.Parts.Servers.Server(ctx, def, config)
	if err != nil {
		return "", "", err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 6*c.opts.CallTimeout)
	defer cancel()
	got, err := c.tokens.Client.ExchangeCode(ctx, server, endpoint.Code{Code: code, Verifier: secrets.Verifier, RedirectURI: flow.Redirect, Scopes: flow.Scopes})
	if err != nil {
		return "", "", endpoint.Coded(err)
	}
	if def.Auth.OAuth2.Nonce && !sameNonce(c.links.nonce(flow.Key()), got, query) {
		c.tokens.Options.Log.Warn().Str("connector", def.Key).Msg("an ID token has another nonce than the authorization request")
		return "", "", stateInvalid(reasonMismatch)
	}
	a := &authorization{
		tokens: c.tokens, connections: c.tokens.Parts.Connections, sessions: c.sessions,
		flow: flow, server: server, config: config, query: query, got: got,
	}
	ctx = server.WithBoundCertificate(ctx)
	if err := a.exchangeToken(ctx); err != nil {
		a.revoke(ctx)
		return "", "", err
	}
	status, err = a.store(ctx)
	return status, a.webhookURL, err
}

// authorization is an authorisation whose tokens were issued and are not yet stored.
type authorization struct {
	tokens      *token.Service
	connections *connection.Service
	sessions    *Sessions
	flow        *records.Flow
	server      endpoint.Server
	config      json.RawMessage
	query       url.Values // of the callback
	got         endpoint.Response
	user        *records.User
	account     string // the provider's, "" if unknown

	webhookURL         string   // of the new connection, "" if it has none
	installationScopes []string // that were requested for an installation
}

func (a *authorization) def() *connectors.Connector { return a.server.Connector }

// exchangeToken exchanges the token that came for the code for the one to store, where
// the definition demands it. Values that only the first response states are kept.
func (a *authorization) exchangeToken(ctx context.Context) error {
	how := a.def().Auth.OAuth2.Exchange
	if how == nil {
		return nil
	}
	got, err := a.tokens.Client.ExchangeToken(ctx, a.server, a.server.URLs.Exchange, how, a.got.Access)
	if err != nil {
		return endpoint.Coded(err)
	}
	first := a.got
	if got.Refresh.IsZero() {
		got.Refresh, got.RefreshExpires = first.Refresh, first.RefreshExpires
	}
	if got.Scopes == nil {
		got.Scopes = first.Scopes
	}
	got.Account = cmp.Or(got.Account, first.Account)
	a.got = got.WithDocumentOf(first)
	return nil
}

// findUser asks whose tokens they are. A failure is logged, not returned: no token is
// lost over it.
func (a *authorization) findUser(ctx context.Context) {
	var err error
	if a.user, err = a.tokens.Client.UserInfo(ctx, a.server, a.got); err != nil {
		a.tokens.Options.Log.Warn().Str("connector", a.def().Key).Str("code", string(connectors.CodeConnectorOAuthParseUserinfoFailed)).
			Msg("the user info request failed; the connection is made without it")
	}
}

// store finds out whose tokens they are, and stores grant and connection. Tokens that
// are not stored are revoked.
func (a *authorization) store(ctx context.Context) (status string, err error) {
	a.findUser(ctx)
	ref := a.flow.Ref()
	input, err := a.plan(ctx)
	if err != nil {
		a.revoke(ctx)
		return "", err
	}
	if a.installs() {
		if err := a.requestInstallation(ctx); err != nil {
			return "", err
		}
	}
	reference := records.NewGrantReference(ref, a.tokens.Options.Now())
	input.GrantReference = reference.ID
	grant, err := a.tokens.Grants.StoreAuthorized(ctx, input.Grant, reference, a.got, a.describe)
	if err != nil {
		// A grant that may be stored may be in use by other connections.
		if !errors.Is(err, records.ErrUnavailable) {
			a.revoke(ctx)
		}
		return "", err
	}
	input.Companions = a.storeCompanions(ctx, input.Grant, reference)
	stored, err := a.connections.Authorize(ctx, ref, input)
	if err != nil {
		a.tokens.References.ReleaseUnstored(ctx, err, ref, input, a.config)
		a.tokens.Notifier.Reactivate(ctx, grant) // its other connections have tokens again
		return "", err
	}
	a.tokens.References.Release(ctx, stored.Replaced)
	a.finish(ctx, stored.Record, grant)
	if a.flow.Reconnect == "" {
		a.webhookURL = stored.View.WebhookURL
	}
	if stored.Record.State == records.Selecting {
		return "selection_required", nil
	}
	return "success", nil
}

// plan returns the connection to store, with the key of its grant.
func (a *authorization) plan(ctx context.Context) (in connection.AuthorizeInput, err error) {
	resources, err := a.tokens.Client.Resources(ctx, a.server, a.got)
	if err != nil {
		return in, err
	}
	if a.installs() {
		if resources, err = a.provenInstallations(resources); err != nil {
			return in, err
		}
	}
	old, err := a.connections.Latest(ctx, a.flow.Ref())
	replaceable := errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorNotConnected}) ||
		a.flow.Replace && errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorDecryptFailed})
	if err != nil && !replaceable {
		return in, err
	}
	if old != nil && a.flow.Reconnect != "" && old.ID != a.flow.Reconnect {
		old = nil
	}
	in = connection.AuthorizeInput{Tags: a.flow.Tags, Replace: a.flow.Replace, Reconnect: a.flow.Reconnect}
	switch {
	case len(resources) == 1:
		in.Resource = &resources[0]
	case old != nil && old.Resource != nil && slices.ContainsFunc(resources, func(r records.Resource) bool { return r.ID == old.Resource.ID }):
		in.Resource = old.Resource // chosen before, by a user
	default:
		in.Resources = resources
	}
	if a.installs() {
		in.Grant = a.identifyInstallation(in.Resource)
	} else {
		in.Grant = a.identify(old)
	}
	if err := a.checkReconnect(ctx, old); err != nil {
		return in, err
	}
	in.Config, err = a.metadata(in.Resource)
	return in, err
}

// identify finds out the provider's account, and returns the key of its grant. A
// connection whose account the provider does not state has a grant of its own.
func (a *authorization) identify(old *records.Connection) (grant string) {
	switch {
	case a.got.Account != "":
		a.account = a.got.Account
	case a.user != nil:
		a.account = a.user.ID
	case old != nil && old.Grant != "":
		return old.Grant
	}
	return records.GrantKey(a.flow.Ref().Tenant, a.def().GrantFamily(), a.server.App.ClientID, a.accountOrConnection(a.account))
}

// accountOrConnection returns the account, or what stands for it where the provider does
// not state it.
func (a *authorization) accountOrConnection(account string) string {
	return cmp.Or(account, "connection "+a.flow.Ref().Key())
}

// checkReconnect refuses an authorisation by a reconnect link, which is for one account,
// if it is known to be of another. The keys of the grants may differ all the same: by the
// client id, or because the account could not be stated before.
func (a *authorization) checkReconnect(ctx context.Context, old *records.Connection) error {
	switch {
	case a.flow.Reconnect == "":
		return nil
	case old == nil:
		return stateInvalid(reasonMismatch)
	case a.account == "" || old.Grant == "":
		return nil
	}
	g, err := a.tokens.Parts.Grants.Latest(ctx, old.Grant)
	switch {
	case errors.Is(err, records.ErrNotFound):
		return nil
	case err == nil && g.Account != "" && g.Account != a.account:
		return stateInvalid(reasonMismatch)
	}
	return err
}

// describe fills in what the main grant is of.
func (a *authorization) describe(g *records.Grant) {
	a.describeOwner(g, a.account)
	g.Requested, g.Exchanged = a.flow.Scopes, a.def().Auth.OAuth2.Renewal != nil
	if a.installs() {
		g.Requested, g.ClientCredentials = a.installationScopes, true
	}
	if a.user != nil {
		g.User = a.user
	}
	if a.got.Scopes == nil {
		g.Granted = g.Requested // RFC 6749 section 5.1: scopes that are not stated are as requested
	}
}

// describeOwner fills in whose grant it is.
func (a *authorization) describeOwner(g *records.Grant, account string) {
	ref := a.flow.Ref()
	g.Scope, g.Identity, g.Family = ref.Scope, ref.Identity, a.def().GrantFamily()
	g.Connector, g.ClientID, g.Account = a.def().Key, a.server.App.ClientID, account
}

// metadata puts what the flow has learnt into the config. The provider's account comes
// from the provider only: whoever could enter another's would receive its webhooks. A
// connection that is authorised again keeps what it has learnt before.
func (a *authorization) metadata(chosen *records.Resource) (config json.RawMessage, err error) {
	config = a.config
	if a.flow.Reconnect == "" && a.def().AccountFromProvider() && !a.def().ProvesOwner() {
		if config, err = without(config, a.def().Webhook.AccountField); err != nil {
			return nil, err
		}
	}
	return fill(a.def(), config, func(from, name string) (any, bool) {
		switch from {
		case "token":
			return a.got.Field(name), true
		case "query":
			return a.query.Get(name), true
		case "user":
			return userField(a.user, name), true
		case "resource":
			return resourceField(chosen, name), chosen != nil
		}
		return nil, false
	})
}

// finish publishes what is stored, and makes the grant's other connections active again.
func (a *authorization) finish(ctx context.Context, c *records.Connection, g *records.Grant) {
	a.tokens.Notifier.Reactivate(ctx, g)
	status := SessionConnected
	a.connections.Announce(ctx, events.OAuthCompleted, c, events.Data{GrantedScopes: g.Granted})
	switch c.State {
	case records.Selecting:
		status = SessionSelecting
		a.connections.Announce(ctx, events.OAuthSelection, c, events.Data{})
	case records.Disabled: // it was before, and has new tokens for when it is enabled
		a.connections.Announce(ctx, events.ConnectorUpdated, c, events.Data{})
	default:
		a.connections.Announce(ctx, events.ConnectorConnected, c, events.Data{})
	}
	if a.got.Scopes != nil && !token.SameScopes(a.got.Scopes, g.Requested) {
		a.connections.Announce(ctx, events.OAuthScopeChanged, c, events.Data{GrantedScopes: g.Granted})
	}
	a.sessions.close(ctx, a.flow, status, nil)
}

// revoke revokes the tokens of an authorisation that failed.
func (a *authorization) revoke(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*a.tokens.Options.CallTimeout)
	defer cancel()
	if a.got.Account == "" && a.user == nil {
		a.findUser(ctx)
	}
	old, err := a.connections.Latest(ctx, a.flow.Ref())
	if err != nil {
		old = nil
	}
	if a.got.Access.IsZero() {
		return
	}
	a.tokens.Revoker.RevokeUnused(ctx, a.identify(old), a.server, a.got)
	for name, got := range a.companionResponses() {
		a.revokeCompanion(ctx, name, got)
	}
}
