package oauth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// conclude turns a checked callback into a connection. Once the code is spent, the
// work no longer ends with the browser's patience.
func (f *Flow) conclude(ctx context.Context, flow *records.Flow, query url.Values) (status string, err error) {
	code, refusal := answer(query)
	if refusal != nil {
		return "", refusal
	}
	secrets, err := f.flows.Open(flow)
	if err != nil {
		return "", err
	}
	def, err := f.connector(flow.Connector)
	if err != nil {
		return "", err
	}
	if err := complete(def); err != nil {
		return "", err
	}
	config, err := told(def, json.RawMessage(secrets.Config.Reveal()), query)
	if err != nil {
		return "", err
	}
	urls, err := def.OAuthEndpoints(config)
	if err != nil {
		return "", err
	}
	app, err := f.appOf(ctx, def, config)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 6*f.opts.CallTimeout)
	defer cancel()
	got, failed := f.endpoint(def, urls.Token, config, app).exchange(ctx, code, secrets.Verifier, flow.Redirect)
	if failed != nil {
		return "", failed.coded()
	}
	ctx = showing(ctx, def, config, app)
	a := &arrival{Flow: f, flow: flow, def: def, app: app, urls: urls, config: config, query: query, got: got}
	if err := a.tradeUp(ctx); err != nil {
		a.abandon(ctx)
		return "", err
	}
	return a.settle(ctx)
}

// arrival is an authorisation whose tokens are here.
type arrival struct {
	*Flow
	flow   *records.Flow
	def    *connectors.Connector
	app    records.App
	urls   connectors.Endpoints
	config json.RawMessage
	query  url.Values
	got    reply
	user   *records.User
}

// settle finds out whose tokens they are, and stores grant and connection.
func (a *arrival) settle(ctx context.Context) (string, error) {
	a.user = a.Tokens.user(ctx, a.def, a.urls.UserInfo, a.got.Access)
	resources, err := a.resources(ctx, a.def, a.urls.Resources, a.got.Access)
	if err != nil {
		a.abandon(ctx)
		return "", err
	}
	ref := a.flow.Ref()
	old, err := a.Service.Latest(ctx, ref)
	replaceable := errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorNotConnected}) ||
		a.flow.Replace && errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorDecryptFailed})
	if err != nil && !replaceable {
		a.abandon(ctx)
		return "", err
	}
	if old != nil && a.flow.Reconnect != "" && old.ID != a.flow.Reconnect {
		old = nil
	}
	key, account := a.grantKey(old)
	if err := a.renews(ctx, old, account); err != nil {
		a.abandon(ctx)
		return "", err
	}
	hold := records.NewGrantReference(ref, a.opts.Now())
	input := connection.AuthorizeInput{Tags: a.flow.Tags, Grant: key, GrantReference: hold.ID, Replace: a.flow.Replace, Reconnect: a.flow.Reconnect}
	switch {
	case len(resources) == 1:
		input.Resource = &resources[0]
	case old != nil && old.Resource != nil && slices.ContainsFunc(resources, func(r records.Resource) bool { return r.ID == old.Resource.ID }):
		input.Resource = old.Resource // chosen before, by a person
	default:
		input.Resources = resources
	}
	if input.Config, err = a.metadata(a.config, input.Resource); err != nil {
		a.abandon(ctx)
		return "", err
	}
	grant, err := a.put(ctx, key, hold, a.authorised(a.got, func(g *records.Grant) { a.describe(g, account) }))
	if err != nil {
		// What may be stored may be in use: by the siblings of a shared grant.
		if !errors.Is(err, records.ErrUnavailable) {
			a.abandon(ctx)
		}
		return "", err
	}
	input.Companions = a.companions(ctx, key, hold, account)
	_, c, before, err := a.Service.Authorize(ctx, ref, input)
	if err != nil {
		a.takeBack(ctx, err, ref, input, a.config)
		a.wake(ctx, grant) // it lives, though this connection did not come to be
		return "", err
	}
	a.release(ctx, before)
	a.finish(ctx, c, grant)
	if c.State == records.Selecting {
		return "selection_required", nil
	}
	return "success", nil
}

// finish announces what is stored, and wakes the siblings of a grant that was dead.
func (a *arrival) finish(ctx context.Context, c *records.Connection, g *records.Grant) {
	a.wake(ctx, g)
	status := SessionConnected
	a.Service.Announce(ctx, events.OAuthCompleted, c, events.Data{GrantedScopes: g.Granted})
	switch c.State {
	case records.Selecting:
		status = SessionSelecting
		a.Service.Announce(ctx, events.OAuthSelection, c, events.Data{})
	case records.Disabled: // it was, and has new tokens for when it is enabled
		a.Service.Announce(ctx, events.ConnectorUpdated, c, events.Data{})
	default:
		a.Service.Announce(ctx, events.ConnectorConnected, c, events.Data{})
	}
	if a.got.Scopes != nil && !sameScopes(a.got.Scopes, a.flow.Scopes) {
		a.Service.Announce(ctx, events.OAuthScopeChanged, c, events.Data{GrantedScopes: g.Granted})
	}
	a.closeSession(ctx, a.flow, status, nil)
}

// grantKey is the grant of the provider's account. Where nobody says which account
// it is, a connection has a grant of its own.
func (a *arrival) grantKey(old *records.Connection) (key, account string) {
	switch {
	case a.got.Account != "":
		account = a.got.Account
	case a.user != nil:
		account = a.user.ID
	case old != nil && old.Grant != "":
		return old.Grant, ""
	}
	return records.GrantKey(a.flow.Ref().Tenant, a.def.GrantFamily(), a.app.ClientID, cmp.Or(account, a.alone())), account
}

// renews refuses what came by a reconnect link, which renews one account, if it is known
// to be of another. Where the grants lie says less: another client of ours has others,
// and so has an account that nobody could name before.
func (a *arrival) renews(ctx context.Context, old *records.Connection, account string) error {
	switch {
	case a.flow.Reconnect == "":
		return nil
	case old == nil:
		return stateInvalid(reasonMismatch)
	case account == "" || old.Grant == "":
		return nil
	}
	g, err := a.Grants.Latest(ctx, old.Grant)
	switch {
	case errors.Is(err, records.ErrNotFound):
		return nil
	case err == nil && g.Account != "" && g.Account != account:
		return stateInvalid(reasonMismatch)
	}
	return err
}

// alone stands for the account where nobody says which it is.
func (a *arrival) alone() string { return "connection " + a.flow.Ref().Key() }

// identify says whose grant it is.
func (a *arrival) identify(g *records.Grant, account string) {
	ref := a.flow.Ref()
	g.Scope, g.Identity, g.Family = ref.Scope, ref.Identity, a.def.GrantFamily()
	g.Connector, g.ClientID, g.Account = a.def.Key, a.app.ClientID, account
}

// describe says what the main grant is of.
func (a *arrival) describe(g *records.Grant, account string) {
	a.identify(g, account)
	g.Requested, g.Exchanged = a.flow.Scopes, a.def.Auth.OAuth2.Renewal != nil
	if a.user != nil {
		g.User = a.user
	}
	if a.got.Scopes == nil {
		g.Granted = a.flow.Scopes // RFC 6749 section 5.1: what is not said is as asked
	}
}

// metadata puts what the flow has learnt into the config. Whose account it is is
// learnt, or not there: who types another's would get its webhooks. A connection
// that is renewed keeps what it has learnt before.
func (a *arrival) metadata(config json.RawMessage, chosen *records.Resource) (json.RawMessage, error) {
	if a.flow.Reconnect == "" && a.def.AccountFromProvider() && !a.def.HasValidate() {
		var err error
		if config, err = without(config, a.def.Webhook.AccountField); err != nil {
			return nil, err
		}
	}
	return fill(a.def, config, func(from, name string) (any, bool) {
		switch from {
		case "token":
			return dig(a.got.document, name), true
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

// without is the config without a top-level field.
func without(config json.RawMessage, field string) (json.RawMessage, error) {
	doc, err := members(config)
	if err != nil {
		return nil, err
	}
	delete(doc, field)
	return json.Marshal(doc)
}

func members(config json.RawMessage) (map[string]json.RawMessage, error) {
	doc := map[string]json.RawMessage{}
	if len(config) == 0 {
		return doc, nil
	}
	if err := json.Unmarshal(config, &doc); err != nil {
		return nil, connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the config is not an object")
	}
	return doc, nil
}

// fill puts values into the config at the top-level fields that Metadata names.
func fill(def *connectors.Connector, config json.RawMessage, value func(from, name string) (any, bool)) (json.RawMessage, error) {
	if len(def.Auth.OAuth2.Metadata) == 0 {
		return config, nil
	}
	doc, err := members(config)
	if err != nil {
		return nil, err
	}
	for field, source := range def.Auth.OAuth2.Metadata {
		from, name, _ := strings.Cut(source, ".")
		v, known := value(from, name)
		if !known || v == nil || v == "" {
			continue
		}
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the metadata cannot be stored")
		}
		doc[field] = raw
	}
	return json.Marshal(doc)
}

func userField(u *records.User, name string) any {
	if u == nil {
		return nil
	}
	return map[string]string{"id": u.ID, "name": u.Name, "email": u.Email, "avatar": u.Avatar}[name]
}

func resourceField(r *records.Resource, name string) any {
	if r == nil {
		return nil
	}
	return map[string]string{"id": r.ID, "name": r.Name, "url": r.URL}[name]
}

// Select finishes a connection that waits for the choice of a site.
func (f *Flow) Select(ctx context.Context, r records.Ref, resourceID string) (*connection.View, error) {
	def, err := f.Service.Connector(r.Connector)
	if err != nil {
		return nil, err
	}
	if def.Auth.OAuth2 == nil {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s is not connected by OAuth", r.Connector)
	}
	return f.Service.Select(ctx, r, resourceID, func(config json.RawMessage, chosen records.Resource) (json.RawMessage, error) {
		return fill(def, config, func(from, name string) (any, bool) {
			return resourceField(&chosen, name), from == "resource"
		})
	})
}
