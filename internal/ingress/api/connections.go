package api

import (
	"context"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/oauth/flow"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// connections are the operations on connections.
type connections struct {
	service *connection.Service
	oauth   *flow.Service
}

func (c connections) list(ctx context.Context, p params) (any, error) {
	return c.service.List(ctx, p.tenant(), p.filter())
}

func (c connections) count(ctx context.Context, p params) (any, error) {
	n, err := c.service.Count(ctx, p.tenant(), p.filter())
	return map[string]int{"count": n}, err
}

func (c connections) get(ctx context.Context, p params) (any, error) {
	return c.service.Get(ctx, p.ref())
}

// connect starts an OAuth flow, or connects by client credentials or by the config
// alone, as the connector's kind of auth requires.
func (c connections) connect(ctx context.Context, p params) (any, error) {
	in := connection.ConnectInput{Config: p.Config, Tags: p.Tags, Replace: p.Replace}
	def, err := c.service.Connector(p.Connector)
	if err != nil {
		return nil, err
	}
	switch {
	case def.Auth.Kind == connectors.AuthOAuth2:
		return c.oauth.Starter.Start(ctx, p.ref(), flow.StartInput{ConnectInput: in, Scopes: p.Scopes, ReturnURL: p.ReturnURL})
	case def.Auth.OAuth2 != nil:
		return c.oauth.ClientCredentials.Connect(ctx, p.ref(), in)
	}
	return c.service.Connect(ctx, p.ref(), in)
}

func (c connections) update(ctx context.Context, p params) (any, error) {
	grace, err := p.secretGrace()
	if err != nil {
		return nil, err
	}
	return c.service.Update(ctx, p.ref(), connection.UpdateInput{Enabled: p.Enabled, Config: p.Config, SecretGrace: grace, Tags: p.Tags})
}

func (c connections) disconnect(ctx context.Context, p params) (any, error) {
	return nil, c.oauth.Tokens.Connections.Disconnect(ctx, p.ref())
}

func (c connections) toggle(ctx context.Context, p params) (any, error) {
	return c.service.Toggle(ctx, p.ref())
}

func (c connections) rotateWebhook(ctx context.Context, p params) (any, error) {
	return c.service.RotateWebhook(ctx, p.ref())
}

func (c connections) resolve(ctx context.Context, p params) (any, error) {
	return c.oauth.Tokens.Connections.Resolve(ctx, p.ref())
}

func (c connections) refresh(ctx context.Context, p params) (any, error) {
	return c.oauth.Tokens.Connections.Refresh(ctx, p.ref())
}

func (c connections) selectSite(ctx context.Context, p params) (any, error) {
	if p.ResourceID == "" {
		return nil, problem.Invalid("resource_id", "is required")
	}
	return c.oauth.Sites.Select(ctx, p.ref(), p.ResourceID)
}

// capturedSecret answers, once, with the webhook secret that a provider has handed over: where
// somebody has to type it in at the provider.
func (c connections) capturedSecret(ctx context.Context, p params) (any, error) {
	captured, err := c.service.TakeCapturedSecret(ctx, p.ref())
	if err != nil {
		return nil, err
	}
	return map[string]string{"secret": captured.Reveal()}, nil
}

// createSession makes a connect session: a link for an end user's browser.
func (c connections) createSession(ctx context.Context, p params) (any, error) {
	return c.oauth.Sessions.Create(ctx, flow.SessionInput{
		Tenant: p.tenant(), Connectors: p.Connectors, Account: p.Account, ReturnURL: p.ReturnURL,
	})
}

// apps are the operations on the operator's OAuth clients. An app belongs to a
// connector, or to a family of them.
type apps struct {
	apps        *records.Apps
	definitions *records.Definitions
	oauth       *flow.Service
}

// appView is an app with what has to be registered at the provider.
type appView struct {
	*records.AppView
	CallbackURLs []string `json:"callback_urls,omitempty"` // one for each connector that uses the app
}

func (a apps) set(ctx context.Context, p params) (any, error) {
	if err := a.check(p.Connector); err != nil {
		return nil, err
	}
	secrets := p.ClientSecrets
	if p.ClientSecret != nil {
		secrets = append([]secret.Text{*p.ClientSecret}, secrets...)
	}
	app := records.App{ClientID: p.ClientID, ClientSecrets: secrets, Scopes: p.Scopes, ExtraParams: p.ExtraParams, Extra: p.Extra}
	if err := a.apps.Set(ctx, p.Connector, app); err != nil {
		return nil, err
	}
	return a.get(ctx, p)
}

// check refuses an app that no connector would use.
func (a apps) check(name string) error {
	if len(a.users(name)) > 0 {
		return nil
	}
	if _, err := a.definitions.Get(name); err != nil {
		return err
	}
	return connectors.Errorf(connectors.CodeConnectorConfigInvalid, "connector %s uses no OAuth client, so there is nothing to set", name)
}

// users returns the connectors that use the app: the one of the name, or those of the family.
func (a apps) users(name string) (all []*connectors.Connector) {
	for _, c := range a.definitions.All() {
		if (c.Key == name || c.GrantFamily() == name) && c.UsesOAuthClient() {
			all = append(all, c)
		}
	}
	return all
}

func (a apps) get(ctx context.Context, p params) (any, error) {
	view, err := a.apps.View(ctx, p.Connector)
	if err != nil {
		return nil, err
	}
	shown := appView{AppView: view}
	for _, c := range a.users(p.Connector) {
		if c.Auth.Kind == connectors.AuthOAuth2 {
			shown.CallbackURLs = append(shown.CallbackURLs, a.oauth.CallbackURL(c.Key))
		}
	}
	return shown, nil
}

func (a apps) delete(ctx context.Context, p params) (any, error) {
	return nil, a.apps.Delete(ctx, p.Connector)
}
