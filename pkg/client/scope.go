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

// Account returns the scope with another account: it distinguishes several connections
// of a tenant to one connector.
func (s *Scope) Account(name string) *Scope {
	other := *s
	other.account = name
	return &other
}

// Action returns an action of a connector, which runs with the tenant's connection. A
// call without a connection returns CONNECTOR_NOT_CONNECTED.
func (s *Scope) Action(connector, action string) *Action {
	return &Action{
		client: s.client,
		ref:    events.ActionRef{Tenant: s.tenant, Connector: connector, Action: action},
		opts:   PublishOptions{Account: s.account},
	}
}

// ConnectOptions are the options of [Scope.Connect].
type ConnectOptions struct {
	Tags map[string]string
	// Replace replaces an existing connection, and keeps its id and webhook URL. Without
	// it an existing connection is CONNECTOR_ALREADY_CONNECTED.
	Replace bool
}

// Connect connects an account of the tenant to a connector. encoding/json must encode
// config as an object; a [connectors.Secret] in it is sent as plaintext. Errors:
// CONNECTOR_NOT_FOUND, CONNECTOR_ALREADY_CONNECTED, CONNECTOR_CONFIG_INVALID with all
// field errors, CONNECTOR_SCOPE_INVALID, CONNECTOR_SCOPE_IDENTIFIER_REQUIRED. For
// connectors with OAuth use [Scope.Authorize].
//
// The WebhookURL of the connection returned is complete. Later it is so only in the reply
// of [Scope.RotateWebhook].
func (s *Scope) Connect(ctx context.Context, connector string, config any, opts *ConnectOptions) (*Connection, error) {
	request := s.request(connector)
	if err := request.setConfig(config); err != nil {
		return nil, err
	}
	if opts != nil {
		request.setIf(opts.Tags != nil, "tags", opts.Tags)
		request.setIf(opts.Replace, "replace", opts.Replace)
	}
	connection, err := call[*Connection](ctx, s.client, "connections.connect", request)
	if err == nil && connection.ID == "" { // an authorization was started, and waits for a browser
		return nil, connectors.Errorf(connectors.CodeConnectorConfigInvalid, "%s is connected by OAuth: use Authorize", connector)
	}
	return connection, err
}

// ListOptions filter a list. Offset and Limit apply after the filters.
type ListOptions struct {
	Enabled *bool
	Name    string // the connector's key or its display name
	Offset  int
	Limit   int // 0: all
}

// List returns the tenant's connections of all accounts, sorted by connector and account.
func (s *Scope) List(ctx context.Context, opts *ListOptions) ([]*Connection, error) {
	return call[[]*Connection](ctx, s.client, "connections.list", s.listing(opts))
}

// Count returns how many connections List returns without Offset and Limit.
func (s *Scope) Count(ctx context.Context, opts *ListOptions) (int, error) {
	reply, err := call[struct{ Count int }](ctx, s.client, "connections.count", s.listing(opts))
	return reply.Count, err
}

// Get returns a connection with its Status, or CONNECTOR_NOT_CONNECTED.
func (s *Scope) Get(ctx context.Context, connector string) (*Connection, error) {
	return call[*Connection](ctx, s.client, "connections.get", s.request(connector))
}

// Change is a change by [Scope.Update]; fields that are nil stay as they are.
type Change struct {
	Enabled *bool
	// Config is a JSON merge patch of the config (RFC 7396).
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
	request.setIf(change.Enabled != nil, "enabled", change.Enabled)
	request.setIf(change.Tags != nil, "tags", change.Tags)
	return call[*Connection](ctx, s.client, "connections.update", request)
}

// Toggle enables a disabled connection, or disables an enabled one.
func (s *Scope) Toggle(ctx context.Context, connector string) (*Connection, error) {
	return call[*Connection](ctx, s.client, "connections.toggle", s.request(connector))
}

// Disconnect removes a connection, and revokes its grant if the provider supports that.
func (s *Scope) Disconnect(ctx context.Context, connector string) error {
	_, err := call[struct{}](ctx, s.client, "connections.disconnect", s.request(connector))
	return err
}

// RotateWebhook gives the connection a new webhook URL, which is complete in the reply.
// The old one works for another day.
func (s *Scope) RotateWebhook(ctx context.Context, connector string) (*Connection, error) {
	return call[*Connection](ctx, s.client, "connections.rotate-webhook", s.request(connector))
}

// Resolve returns the base URL of the provider's API, and the headers and query parameters
// that authenticate requests. [connectors.NewTransport] makes an HTTP transport of it.
func (s *Scope) Resolve(ctx context.Context, connector string) (connectors.Runtime, error) {
	reply, err := call[struct {
		BaseURL string                 `json:"base_url"`
		Headers map[string]secret.Text `json:"headers"`
		Query   map[string]secret.Text `json:"query"`
	}](ctx, s.client, "connections.resolve", s.request(connector))
	return connectors.Runtime{BaseURL: reply.BaseURL, Headers: reply.Headers, Query: reply.Query}, err
}

// On calls handle with the tenant's events, results or webhooks until unsubscribe is
// called or ctx ends. See [OnOptions] for events of the past and for errors. On returns
// when the server knows the subscription: events published after that are delivered.
//
// handle runs in a goroutine of its own, for one event after the other unless
// OnOptions.Concurrency is set. Its ctx ends with the one given here, and continues the
// event's trace. unsubscribe returns when the last handler has returned. A handler must
// not call it, but can cancel the ctx. Calling it again does nothing.
func (s *Scope) On(ctx context.Context, f Filter, handle func(context.Context, *Event) error, opts *OnOptions) (unsubscribe func(), err error) {
	if err := checkNames(s.tenant, f.Connector); err != nil {
		return nil, err
	}
	return s.client.subscribe(ctx, s.client.subject(f, s.tenant.Tokens()), f, handle, opts)
}

func (s *Scope) request(connector string) request {
	r := request{"scope": s.tenant.Scope, "identity": s.tenant.Identity, "connector": connector}
	r.setIf(s.account != "", "account", s.account)
	return r
}

func (s *Scope) listing(opts *ListOptions) request {
	r := request{"scope": s.tenant.Scope, "identity": s.tenant.Identity}
	if opts != nil {
		r.setIf(opts.Enabled != nil, "enabled", opts.Enabled)
		r.setIf(opts.Name != "", "name", opts.Name)
		r.setIf(opts.Offset != 0, "offset", opts.Offset)
		r.setIf(opts.Limit != 0, "limit", opts.Limit)
	}
	return r
}
