// Package client is what an application imports to use Hawser. It talks to Hawser's
// programs over NATS.
//
//	client.go     Client: one NATS connection, all tenants
//	scope.go      Scope: one tenant, its connections
//	authorize.go  connect by OAuth; connect sessions
//	action.go     Action: call, publish, look up a result
//	on.go         subscribe to events, results and webhooks
//	filter.go     which of them
//	replay.go     those of the past, then those that come
//	durable.go    by a durable consumer
//	catalogue.go  the connectors
//	connection.go a connection
//	result.go     results and errors of actions
//	encode.go     values as JSON, with secrets
//	control.go    control operations and their errors
//
// Failures with one of Hawser's codes are *[connectors.Error]; use errors.AsType. A
// request that was published may take effect even if its caller gets an error: see
// [PendingError].
package client

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/pkg/events"
)

// Options of a [Client]. Zero fields mean the default.
type Options struct {
	Prefix string // first token of every subject; default "hawser"
	// Timeout bounds one control operation, whatever its ctx allows. Default 30 s:
	// connecting may ask the provider.
	Timeout time.Duration
	// PublishTimeout bounds the wait for the stream's ack of a request. Default 2 s.
	PublishTimeout time.Duration
	// Tenant must be set if the connection has a tenant's credentials
	// (`hawser creds tenant`). With them a client can publish the tenant's requests and
	// subscribe to its results, events and webhooks. What needs more (control
	// operations, results and events of the past) fails at once with FORBIDDEN, and a
	// Call with an ID does not look for an earlier result.
	Tenant bool
	// OnError is called with errors that no call returns: of a handler of On, of a
	// message that is not an event, of an interrupted replay. Default: slog.
	OnError func(error)
}

// Client is the client of one installation. Safe for concurrent use. It does not own
// the connection, and need not be closed.
type Client struct {
	nc      *nats.Conn
	bus     *events.Bus
	timeout time.Duration
	tenant  bool
	onError func(error)
}

// New returns a client over nc. It sends nothing. Connect with [events.ConnectOptions],
// so that calls fail at once while the server is away.
func New(nc *nats.Conn, opts *Options) (*Client, error) {
	if nc == nil {
		return nil, errors.New("client: the NATS connection is nil")
	}
	o := Options{}
	if opts != nil {
		o = *opts
	}
	bus, err := events.NewBus(nc, &events.Options{Prefix: o.Prefix, PublishTimeout: o.PublishTimeout})
	if err != nil {
		return nil, err
	}
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	if o.OnError == nil {
		o.OnError = func(err error) { slog.Warn("hawser client", "error", err) }
	}
	return &Client{nc: nc, bus: bus, timeout: o.Timeout, tenant: o.Tenant, onError: o.OnError}, nil
}

// Scope returns a tenant: a kind (organization, user, system …) and an id of it. With
// an unknown kind, calls return CONNECTOR_SCOPE_INVALID.
func (c *Client) Scope(kind, id string) *Scope {
	return &Scope{client: c, tenant: events.Tenant{Scope: kind, Identity: id}}
}

// defaultScope is the scope of actions that run with a connector's default config.
const defaultScope = "default"

// Action returns an action that runs with its connector's default config,
// without a connection.
func (c *Client) Action(connector, action string) *Action {
	return c.Scope(defaultScope, "").Action(connector, action)
}

// On is [Scope.On] for all tenants at once.
func (c *Client) On(ctx context.Context, f Filter, handle func(context.Context, *Event) error, opts *OnOptions) (unsubscribe func(), err error) {
	if c.tenant {
		return nil, forbidden("a subscription to all tenants")
	}
	return c.subscribe(ctx, c.subject(f, "*.*"), f, handle, opts)
}
