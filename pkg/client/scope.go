package client

import (
	"context"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Scope is one tenant, and its account "default" unless [Scope.Account] says
// otherwise. Safe for concurrent use.
type Scope struct {
	client  *Client
	tenant  events.Tenant
	account string
}

// Account returns the scope with another account: a tenant may have several
// connections to one connector, told apart by it.
func (s *Scope) Account(name string) *Scope {
	other := *s
	other.account = name
	return &other
}

// Action returns an action of a connector, to be run with the tenant's
// connection. Whether there is one shows when it is called.
func (s *Scope) Action(connector, action string) *Action {
	return &Action{
		client: s.client,
		ref:    events.ActionRef{Tenant: s.tenant, Connector: connector, Action: action},
		opts:   PublishOptions{Account: s.account},
	}
}

// ConnectOptions are the parts of [Scope.Connect] that have defaults.
type ConnectOptions struct {
	Tags map[string]string
	// Replace takes the place of an existing connection, which keeps its id and
	// webhook URL. Without it that is CONNECTOR_ALREADY_CONNECTED.
	Replace bool
}

// Connect authorises an account of the tenant at a connector. config is anything
// that encoding/json writes as an object; a [connectors.Secret] in it is sent in
// the clear, as nowhere else. Errors: CONNECTOR_NOT_FOUND,
// CONNECTOR_ALREADY_CONNECTED, CONNECTOR_CONFIG_INVALID with all field errors,
// CONNECTOR_SCOPE_INVALID, CONNECTOR_SCOPE_IDENTIFIER_REQUIRED. What is connected by
// its user's authorisation takes [Scope.Authorize].
//
// The connection returned is the only one, until [Scope.RotateWebhook], whose
// WebhookURL is whole.
func (s *Scope) Connect(ctx context.Context, connector string, config any, opts *ConnectOptions) (*Connection, error) {
	request := s.request(connector)
	if err := request.setConfig(config); err != nil {
		return nil, err
	}
	if opts != nil {
		request.set("tags", opts.Tags, opts.Tags != nil)
		request.set("replace", opts.Replace, opts.Replace)
	}
	made, err := reply[*Connection](ctx, s.client, "connections.connect", request)
	if err == nil && made.ID == "" { // what was made waits for a browser, which nobody will open
		return nil, connectors.Errorf(connectors.CodeConnectorConfigInvalid, "%s is connected by its user's authorisation: use Authorize", connector)
	}
	return made, err
}

// ListOptions narrow a list. The page is cut after the filters.
type ListOptions struct {
	Enabled *bool
	Name    string // the connector's key or its display name
	Offset  int
	Limit   int // 0: all
}

// List returns the tenant's connections, of all accounts, in the order of
// connector and account.
func (s *Scope) List(ctx context.Context, opts *ListOptions) ([]*Connection, error) {
	return reply[[]*Connection](ctx, s.client, "connections.list", s.listing(opts))
}

// Count returns how many connections List would return without a page.
func (s *Scope) Count(ctx context.Context, opts *ListOptions) (int, error) {
	answer, err := reply[struct{ Count int }](ctx, s.client, "connections.count", s.listing(opts))
	return answer.Count, err
}

// Get returns a connection with its health, or CONNECTOR_NOT_CONNECTED.
func (s *Scope) Get(ctx context.Context, connector string) (*Connection, error) {
	return reply[*Connection](ctx, s.client, "connections.get", s.request(connector))
}

// Change is what [Scope.Update] changes; what is nil stays.
type Change struct {
	Enabled *bool
	// Config is merged into the config (RFC 7396): members replace, null removes.
	Config any
	// Tags replace all tags; an empty map removes them.
	Tags map[string]string
}

// Update changes a connection.
func (s *Scope) Update(ctx context.Context, connector string, change Change) (*Connection, error) {
	request := s.request(connector)
	if err := request.setConfig(change.Config); err != nil {
		return nil, err
	}
	request.set("enabled", change.Enabled, change.Enabled != nil)
	request.set("tags", change.Tags, change.Tags != nil)
	return reply[*Connection](ctx, s.client, "connections.update", request)
}

// Toggle enables a disabled connection and disables an enabled one.
func (s *Scope) Toggle(ctx context.Context, connector string) (*Connection, error) {
	return reply[*Connection](ctx, s.client, "connections.toggle", s.request(connector))
}

// Disconnect removes a connection, and revokes it at the provider where that can
// be done.
func (s *Scope) Disconnect(ctx context.Context, connector string) error {
	_, err := reply[struct{}](ctx, s.client, "connections.disconnect", s.request(connector))
	return err
}

// RotateWebhook gives the connection a new webhook URL, whole in the answer; the
// old one is honoured for a day.
func (s *Scope) RotateWebhook(ctx context.Context, connector string) (*Connection, error) {
	return reply[*Connection](ctx, s.client, "connections.rotate-webhook", s.request(connector))
}

// Resolve returns what a request to the provider needs: its base URL, and the
// headers and query parameters that authenticate. [connectors.NewTransport] makes
// an HTTP transport of it.
func (s *Scope) Resolve(ctx context.Context, connector string) (connectors.Runtime, error) {
	answer, err := reply[struct {
		BaseURL string                 `json:"base_url"`
		Headers map[string]secret.Text `json:"headers"`
		Query   map[string]secret.Text `json:"query"`
	}](ctx, s.client, "connections.resolve", s.request(connector))
	return connectors.Runtime{BaseURL: answer.BaseURL, Headers: answer.Headers, Query: answer.Query}, err
}

// On hands the tenant's events, results or webhooks to handle until unsubscribe
// is called or ctx ends. See [OnOptions] for what is heard of the past, and for
// what becomes of an error. It returns when the server knows of the subscription:
// what is published after that is heard.
//
// handle runs in a goroutine of its own, for one event after the other unless
// OnOptions.Concurrency says otherwise, under a ctx that ends with the one given
// here and continues the event's trace. unsubscribe returns when the last handler
// has, so a handler must not call it: it cancels the ctx instead. Calling it
// again does nothing.
func (s *Scope) On(ctx context.Context, f Filter, handle func(context.Context, *Event) error, opts *OnOptions) (unsubscribe func(), err error) {
	if err := checkNames(s.tenant, f.Connector); err != nil {
		return nil, err
	}
	return s.client.listen(ctx, s.client.subject(f, s.tenant.Tokens()), f, handle, opts)
}

func (s *Scope) request(connector string) request {
	r := request{"scope": s.tenant.Scope, "identity": s.tenant.Identity, "connector": connector}
	r.set("account", s.account, s.account != "")
	return r
}

func (s *Scope) listing(opts *ListOptions) request {
	r := request{"scope": s.tenant.Scope, "identity": s.tenant.Identity}
	if opts != nil {
		r.set("enabled", opts.Enabled, opts.Enabled != nil)
		r.set("name", opts.Name, opts.Name != "")
		r.set("offset", opts.Offset, opts.Offset != 0)
		r.set("limit", opts.Limit, opts.Limit != 0)
	}
	return r
}
