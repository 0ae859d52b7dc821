package api

import (
	"context"
	"net/http"

	"github.com/hawser-io/hawser/internal/audit"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// guard lets an operation through, or refuses it: refusal is why. The audit trail has an
// entry either way, before the operation runs; without the entry it does not. finish writes
// what became of an operation that was let through. The entry of ctx may be completed
// until then.
func (a *API) guard(ctx context.Context, c caller, refusal error, e *audit.Entry) (_ context.Context, finish func(error, int), err error) {
	e.Actor, e.Role = c.name, string(c.role)
	if refusal == nil {
		refusal = c.may(e.Operation)
	}
	tenant := events.Tenant{Scope: e.Scope, Identity: e.Identity}
	if refusal == nil && access[e.Operation].about == aTenant && tenant.Scope != "" && !c.reaches(tenant) {
		refusal = errOtherTenant
	}
	if refusal != nil {
		return ctx, nil, a.refuse(ctx, *e, refusal)
	}
	ctx = context.WithValue(withCaller(ctx, c), entryKey{}, e)
	if !recorded(e.Operation) {
		return ctx, func(error, int) {}, nil
	}
	e.Outcome = audit.Started
	if err := a.Audit.Append(ctx, *e); err != nil {
		return ctx, nil, notRecorded(err)
	}
	finish = func(err error, status int) {
		e.Outcome = audit.Done
		e.Status, e.Code = outcome(err, status)
		if err := a.Audit.Append(context.WithoutCancel(ctx), *e); err != nil {
			a.opts.Log.Warn().Err(err).Str("operation", e.Operation).Str("request_id", e.RequestID).Msg("the audit trail has no entry of the outcome")
		}
	}
	return ctx, finish, nil
}

// refuse writes the entry of a refused attempt, and returns why it was refused. An entry
// that cannot be written changes nothing for the caller.
func (a *API) refuse(ctx context.Context, e audit.Entry, refusal error) error {
	e.Status, e.Code = outcome(refusal, 0)
	if err := a.Audit.Refuse(ctx, e); err != nil {
		a.opts.Log.Warn().Err(err).Str("operation", e.Operation).Msg("the audit trail has no entry of a refused attempt")
	}
	return refusal
}

func notRecorded(err error) error {
	e := connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "the operation did not run: the audit trail could not be written; try again")
	e.Cause = err
	return e
}

// outcome returns status and code of an error, or the status given if there is none.
func outcome(err error, status int) (int, string) {
	if err == nil {
		return status, ""
	}
	if d, ok := problem.Missing(err); ok {
		return d.Status, ""
	}
	e := connectors.AsError(err)
	return e.Code.HTTPStatus(), string(e.Code)
}

type entryKey struct{}

// mayReach adds to the entry of ctx what an operation is about and is not in its path, and
// refuses another tenant than the caller's.
func (a *API) mayReach(ctx context.Context, p params) error {
	e, ok := ctx.Value(entryKey{}).(*audit.Entry)
	if !ok {
		e = &audit.Entry{}
	}
	e.Scope, e.Identity, e.Connector, e.Account, e.ID, e.Name = p.Scope, p.Identity, p.Connector, p.Account, p.ID, p.Name
	if access[e.Operation].about == aTenant && !callerOf(ctx).reaches(p.tenant()) {
		return a.refuse(ctx, *e, errOtherTenant)
	}
	return nil
}

// guarded calls next for requests that are let through.
func (a *API) guarded(operation string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e := &audit.Entry{
			Via: "http", Operation: operation, RequestID: w.Header().Get(problem.RequestIDHeader),
			Scope: r.PathValue("scope"), Connector: r.PathValue("connector"), ID: r.PathValue("id"), Name: r.PathValue("name"),
		}
		if e.Scope != "" {
			e.Identity = a.opts.BasePath.Identity(r)
		}
		c, refusal := a.identify(r.Context(), r.Header.Get("Authorization"))
		if refusal == nil && access[operation].about == aThing {
			refusal = c.mayAsk(r)
		}
		ctx, finish, err := a.guard(r.Context(), c, refusal, e)
		if err != nil {
			problem.Write(w, err)
			return
		}
		answer := &answered{ResponseWriter: w, status: http.StatusInternalServerError} // that of a panic
		defer func() { finish(answer.err(), answer.status) }()
		next(answer, r.WithContext(ctx))
		answer.done()
	}
}

// answered notes the status and the code of an answer.
type answered struct {
	http.ResponseWriter
	begun  bool
	status int
	code   connectors.Code
}

func (w *answered) WriteHeader(status int) {
	if !w.begun {
		w.begun, w.status = true, status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *answered) Write(p []byte) (int, error) {
	w.done()
	return w.ResponseWriter.Write(p)
}

// done notes the status of a handler that has written none.
func (w *answered) done() {
	if !w.begun {
		w.begun, w.status = true, http.StatusOK
	}
}

func (w *answered) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// RecordCode implements [problem.CodeRecorder].
func (w *answered) RecordCode(code connectors.Code) {
	w.code = code
	problem.RecordCode(w.ResponseWriter, &connectors.Error{Code: code})
}

func (w *answered) err() error {
	if w.code == "" {
		return nil
	}
	return &connectors.Error{Code: w.code}
}
