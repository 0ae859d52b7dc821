package ingress

import (
	"context"
	"net/http"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// perform runs an operation. What fails for no fault of the caller's is announced
// to the tenant as error.occurred.
func (i *Ingress) perform(ctx context.Context, op operation, p params) (any, error) {
	reply, err := op.run(i, ctx, p)
	if err != nil {
		i.failed(ctx, op, p, connectors.AsError(err))
	}
	return reply, err
}

// failed tells of an operation on a tenant's connection.
func (i *Ingress) failed(ctx context.Context, op operation, p params, e *connectors.Error) {
	ref := p.ref()
	if !op.inPath("identity") || !op.inPath("connector") || i.Scopes.Check(ref.Tenant) != nil || connection.AccountProblem(ref.Account) != "" {
		return
	}
	if _, err := i.Definitions.Get(ref.Connector); err != nil {
		return
	}
	i.occurred(ctx, events.About{Tenant: ref.Tenant, Connector: ref.Connector, Account: ref.Account}, op.name, e)
}

// occurred announces trouble of ours, and does not wait: the caller is told anyway.
// Without a store there is nowhere to announce anything.
func (i *Ingress) occurred(ctx context.Context, about events.About, operation string, e *connectors.Error) {
	if e.Code.HTTPStatus() < http.StatusInternalServerError || e.Code == connectors.CodeConnectorDatabaseFailed || !i.troubles.Allow() {
		return
	}
	event := events.NewLifecycle("ingress", events.ErrorOccurred, about, events.Data{Operation: operation, ErrorCode: string(e.Code), ErrorMessage: e.Message})
	if _, err := i.Bus.PublishAsync(ctx, i.Bus.Event(about.Tenant, about.Connector, events.ErrorOccurred), event, nil); err != nil {
		i.log.Warn().Err(err).Msg("error.occurred not announced")
	}
}
