// Package client is what an application imports to use Hawser: over NATS, with
// nothing between.
//
//	client.go     Client: one NATS connection, all tenants
//	scope.go      Scope: one tenant; its connections
//	action.go     Action: call, publish, look up a result
//	on.go         events, results and webhooks, as they come
//	filter.go     which of them
//	replay.go     … from the past on
//	durable.go    … remembered across restarts
//	catalogue.go  the connectors there are
//	connection.go what a connection looks like
//	result.go     results and errors of actions
//	encode.go     values to JSON, secrets included
//	ask.go        control operations and their errors
//
// Failures that Hawser has a code for are *[connectors.Error], to be found by
// errors.AsType. What was published may have effects even if nobody heard of
// them: see [PendingError].
package client

import (
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
	// Tenant has to say so if the connection has a tenant's credentials
	// (`hawser creds tenant`). Those publish the tenant's requests and hear its
	// results, events and webhooks, and nothing else: what needs more (control
	// operations, results and events of the past) fails at once with FORBIDDEN,
	// and a Call with an ID of its own does not look for an earlier result.
	Tenant bool
	// OnError is told what no caller can be: a handler of On that failed, a
	// message that is no event, an interrupted replay. Default: slog.
	OnError func(error)
}

// Client speaks to one installation. Safe for concurrent use. It does not own
// the connection, and has nothing to be closed.
type Client struct {
	nc      *nats.Conn
	bus     *events.Bus
	timeout time.Duration
	tenant  bool
	onError func(error)
}

// New returns a client over nc. It sends nothing. [events.ConnectOptions] are
// good options for a connection: with them, a server that is gone shows at once.
func New(nc *nats.Conn, opts *Options) (*Client, error) {
	if nc == nil {
		return nil, errors.New("client: a NATS connection is needed")
	}
	o := Options{}
	if opts != nil {
		o = *opts
	}
	bus, err := events.NewBus(nc, &events.Options{Prefix: o.Prefix, PublishTimeout: o.PublishTimeout})
	if err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.OnError == nil {
		o.OnError = func(err error) { slog.Warn("hawser client", "error", err) }
	}
	return &Client{nc: nc, bus: bus, timeout: o.Timeout, tenant: o.Tenant, onError: o.OnError}, nil
}

// Scope returns a tenant: a kind (organization, user, system …) and an id of it.
// An unknown kind shows in the answers: CONNECTOR_SCOPE_INVALID.
func (c *Client) Scope(kind, id string) *Scope {
	return &Scope{client: c, tenant: events.Tenant{Scope: kind, Identity: id}}
}

// nobody is the tenant of actions that run with a connector's default config.
const nobody = "default"

// Action returns an action that runs with its connector's default config,
// without a connection.
func (c *Client) Action(connector, action string) *Action {
	return c.Scope(nobody, "").Action(connector, action)
}

// On is [Scope.On] for all tenants at once.
func (c *Client) On(ctx context.Context, f Filter, handle func(context.Context, *Event) error, opts *OnOptions) (unsubscribe func(), err error) {
	if c.tenant {
		return nil, forbidden("listening to all tenants")
	}
	return c.listen(ctx, c.subject(f, "*.*"), f, handle, opts)
}
