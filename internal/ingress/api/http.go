package api

import (
	"context"
	"net/http"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/oauth/flow"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// overHTTP is the operation as an HTTP handler.
func (a *API) overHTTP(op operation) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p, err := a.requestParams(op, w, r)
		var reply any
		if err == nil {
			reply, err = a.perform(r.Context(), op, p)
		}
		switch _, started := reply.(*flow.Started); {
		case err != nil:
			problem.Write(w, err)
		case op.status == http.StatusNoContent:
			w.WriteHeader(op.status)
		case started:
			problem.WriteJSON(w, http.StatusOK, reply) // the connection is created once the user has consented
		default:
			problem.WriteJSON(w, op.status, reply)
		}
	}
}

// perform runs an operation, if it is about a tenant that the caller may see. The failure of one on a connection is reported.
func (a *API) perform(ctx context.Context, op operation, p params) (any, error) {
	if err := a.mayReach(ctx, p); err != nil {
		return nil, err
	}
	reply, err := op.run(ctx, p)
	if err != nil && a.onConnection(op, p) {
		ref := p.ref()
		a.opts.ReportError(ctx, events.EventContext{Tenant: ref.Tenant, Connector: ref.Connector, Account: ref.Account}, op.name, connectors.AsError(err))
	}
	return reply, err
}

// onConnection reports whether the parameters name a connection that may exist.
func (a *API) onConnection(op operation, p params) bool {
	ref := p.ref()
	if !op.inPath("identity") || !op.inPath("connector") || a.Service.CheckTenant(ref.Tenant) != nil || connection.AccountProblem(ref.Account) != "" {
		return false
	}
	_, err := a.Service.Connector(ref.Connector)
	return err == nil
}
