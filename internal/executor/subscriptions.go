package executor

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/subscription"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// Subscriptions are the parts with which an executor keeps the webhooks of connections registered
// at their providers. All but Options are required.
type Subscriptions struct {
	Service *connection.Service
	Records *records.Subscriptions
	Leases  *records.Leases
	Options subscription.Options // Metrics and Log are the executor's
}

// runtime returns what keeps the webhooks registered; nil if s is nil.
func (s *Subscriptions) runtime(parts Parts, o Options, calls *callBuilder) *subscription.Runtime {
	if s == nil {
		return nil
	}
	options := s.Options
	options.Metrics, options.Log = o.Metrics, o.Log.With().Str("role", o.Role).Logger()
	return subscription.New(subscription.Parts{
		Queue: parts.Queue, Connections: parts.Connections, Service: s.Service, Records: s.Records, Leases: s.Leases, Status: parts.Status,
		Calls: &subscriptionCalls{served{parts.Registry, parts.Definitions, parts.Connections}, calls, parts.HTTP.Transport},
	}, options)
}

// subscriptionCalls is the [subscription.Calls] of an executor.
type subscriptionCalls struct {
	served    served
	calls     *callBuilder
	transport http.RoundTripper
}

func (s *subscriptionCalls) Connectors() []*connectors.Connector { return s.served.all() }

func (s *subscriptionCalls) Connector(key, version string) (*connectors.Connector, bool) {
	c, ok := s.served.get(key)
	if ok && version != "" {
		c = s.served.version(c, version)
	}
	return c, ok
}

func (s *subscriptionCalls) Build(ctx context.Context, to *connectors.Connector, c *records.Connection, config json.RawMessage) (*connectors.Call, error) {
	call := &connectors.Call{Scope: c.Scope, Identity: c.Identity, Connector: c.Connector, Account: c.Account, Attempt: 1}
	return call, s.calls.build(ctx, call, target{connector: to, connection: c, config: config, transport: s.transport})
}
