package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

const (
	defaultWait  = 30 * time.Second
	maxWait      = 60 * time.Second
	maxRequestID = 128
	// drainWait is how long a request waits for its result when the process stops: most
	// actions end in that time.
	drainWait     = 5 * time.Second
	maxActionBody = 768 << 10 // leaves room for headers in a message of 1 MiB
)

// actions runs actions, and returns their results.
type actions struct {
	bus        *events.Bus
	service    *connection.Service
	base       BasePath
	resultsURL string
	waiting    *semaphore.Weighted // has a slot for each request that may wait for a result
	closing    <-chan struct{}     // ends the waiting, not the requests
	quotas     *queue.Quotas
}

// run is POST …/actions/{action}: it stores a request and waits for its result as long
// as the caller prefers, and until this process stops. An action that is not done by then
// continues: 202. The id of the request is that of the HTTP request too.
func (a *actions) run(w http.ResponseWriter, r *http.Request) {
	request, wait, err := a.read(w, r)
	if request.ID != "" {
		problem.SetRequestID(w, request.ID)
	} else {
		request.ID = w.Header().Get(problem.RequestIDHeader) // that of the HTTP request
	}
	if err != nil {
		problem.WriteFor(w, request.ID, err)
		return
	}
	if a.quotas.Exceeded(r.Context(), request.Tenant) {
		problem.WriteFor(w, request.ID, quotaExceeded())
		return
	}
	result, err := a.request(r.Context(), request, wait)
	switch {
	case errors.Is(err, events.ErrPending):
		reference := request.Reference()
		w.Header().Set("Location", string(a.base)+"/results/"+reference)
		problem.WriteJSON(w, http.StatusAccepted, map[string]string{"id": request.ID, "result_url": a.resultsURL + reference})
	case errors.Is(err, events.ErrTooLarge):
		problem.WriteFor(w, request.ID, problem.TooLarge(maxActionBody, connectors.CodeConnectorActionInputInvalid))
	case errors.Is(err, events.ErrConflict):
		problem.WriteFor(w, request.ID, connectors.Errorf(connectors.CodeConnectorIdempotencyConflict, "the Idempotency-Key was used with another body, and this request did not run: use a new key"))
	case err != nil:
		problem.WriteFor(w, request.ID, problem.OfStream(err))
	default:
		writeResult(w, request.ID, result)
	}
}

// quotaExceeded is for a request of a tenant whose requests take more than its quota.
func quotaExceeded() *connectors.Error {
	e := connectors.Errorf(connectors.CodeConnectorQuotaExceeded,
		"too many requests of this tenant wait, or too large ones: wait for results, or let the operator raise HAWSER_TENANT_REQUESTS and HAWSER_TENANT_REQUEST_BYTES")
	e.RetryAfter = 10 * time.Second
	return e
}

// request stores a request and waits for its result. Without a time to wait, and
// when too many wait already, it only stores: they must not use the slots of webhooks.
func (a *actions) request(ctx context.Context, request events.Action, wait time.Duration) (events.Event, error) {
	if wait > 0 && a.waiting.TryAcquire(1) {
		defer a.waiting.Release(1)
		ctx, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		go func() {
			select {
			case <-a.closing:
				time.AfterFunc(drainWait, cancel)
			case <-ctx.Done():
			}
		}()
		return a.bus.RequestAction(ctx, request)
	}
	if !request.GeneratedID {
		if result, err := a.bus.ResultOf(ctx, request); !errors.Is(err, events.ErrNotFound) {
			return result, err
		}
	}
	if err := a.bus.PublishAction(ctx, request); err != nil {
		return events.Event{}, err
	}
	return events.Event{}, events.ErrPending
}

// read reads a request, and how long to wait for its result. It refuses requests that
// could never run.
func (a *actions) read(w http.ResponseWriter, r *http.Request) (events.Action, time.Duration, error) {
	request := events.Action{ActionRef: events.ActionRef{
		Tenant: connection.DefaultConfigTenant, Connector: r.PathValue("connector"), Action: r.PathValue("action"),
	}}
	if err := readRequestID(&request, r.Header.Values("Idempotency-Key")); err != nil {
		return request, 0, err
	}
	def, err := a.service.Connector(request.Connector)
	if err != nil {
		return request, 0, err
	}
	if _, ok := def.Action(request.ActionRef.Action); !ok {
		return request, 0, connectors.Errorf(connectors.CodeConnectorActionNotFound, "%s has no action %.64q", request.Connector, request.ActionRef.Action)
	}
	if scope := r.PathValue("scope"); scope != "" {
		request.Tenant = events.Tenant{Scope: scope, Identity: a.base.Identity(r)}
		if err := a.service.CheckTenant(request.Tenant); err != nil {
			return request, 0, err
		}
	} else if def.DefaultConfig == nil {
		return request, 0, connectors.Errorf(connectors.CodeConnectorDefaultConfigRequired, "%s has no default config, so its actions need a connection", request.Connector)
	}
	if err := readAccount(&request, r); err != nil {
		return request, 0, err
	}
	wait, err := preferredWait(r.Header.Values("Prefer"))
	if err != nil {
		return request, 0, err
	}
	if request.Input, err = problem.ReadBody(w, r, maxActionBody, connectors.CodeConnectorActionInputInvalid); err != nil {
		return request, 0, err
	}
	return request, wait, nil
}

// readAccount reads the account from the query, which may have no other parameter.
func readAccount(request *events.Action, r *http.Request) error {
	q, err := readQuery(r.URL.RawQuery, "account", "this path")
	if err != nil {
		return err
	}
	account := q.Get("account")
	if message := connection.AccountProblem(account); message != "" {
		return problem.Invalid("account", message)
	}
	request.Account = records.NewRef(request.Tenant, request.Connector, account).Account
	return nil
}

// readRequestID reads the request's id from the header Idempotency-Key, or generates
// one.
func readRequestID(request *events.Action, keys []string) error {
	switch {
	case len(keys) == 0 || len(keys) == 1 && keys[0] == "":
		request.ID, request.GeneratedID = events.NewID(), true
	case len(keys) > 1:
		return problem.Invalid("Idempotency-Key", "is given more than once")
	case len(keys[0]) > maxRequestID || strings.ContainsFunc(keys[0], func(c rune) bool { return c < ' ' || c > '~' }):
		return problem.Invalid("Idempotency-Key", "at most 128 bytes of printable ASCII")
	default:
		request.ID = keys[0]
	}
	return nil
}

// preferredWait reads "Prefer: wait=N" (RFC 7240), N in seconds. Other preferences are
// ignored, as the RFC requires.
func preferredWait(lines []string) (time.Duration, error) {
	for _, line := range lines {
		for preference := range strings.SplitSeq(line, ",") {
			preference, _, _ = strings.Cut(preference, ";")
			name, value, _ := strings.Cut(preference, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 32)
			if err != nil {
				return 0, problem.Invalid("Prefer", "wait must be a whole number of seconds")
			}
			return min(time.Duration(n)*time.Second, maxWait), nil
		}
	}
	return defaultWait, nil
}

// result is GET /results/{id}: the id of the answer is that of the result's request.
func (a *actions) result(w http.ResponseWriter, r *http.Request) {
	q, err := readQuery(r.URL.RawQuery, "account", "this path")
	if err != nil {
		problem.Write(w, err)
		return
	}
	result, err := a.bus.StoredResult(r.Context(), r.PathValue("id"), q.Get("account"))
	if c := callerOf(r.Context()); errors.Is(err, events.ErrAmbiguous) && c.tenant != nil || err == nil && !c.reaches(tenantOf(result)) {
		err = events.ErrNotFound // what other tenants have does not show
	}
	switch {
	case errors.Is(err, events.ErrNotFound):
		problem.Write(w, problem.NotFoundError("there is no result of this request yet, or it has aged out"))
	case errors.Is(err, events.ErrAmbiguous):
		problem.Write(w, connectors.Errorf(connectors.CodeRequestInvalid, "several tenants used this request id; use the result_url of the request"))
	case err != nil:
		problem.Write(w, problem.OfStream(err))
	default:
		id := events.Extension(result, events.ExtRequest)
		problem.SetRequestID(w, id)
		writeResult(w, id, result)
	}
}

// tenantOf returns the tenant of a result.
func tenantOf(result events.Event) events.Tenant {
	return events.Tenant{Scope: events.Extension(result, events.ExtScope), Identity: events.Extension(result, events.ExtIdentity)}
}

// writeResult answers with a result: its data and the request's id, or its error as a
// problem.
func writeResult(w http.ResponseWriter, id string, result events.Event) {
	var content struct {
		Data  json.RawMessage
		Error *connectors.Error
	}
	switch err := json.Unmarshal(result.Data(), &content); {
	case err != nil:
		problem.WriteFor(w, id, connectors.Errorf(connectors.CodeInternal, "the stored result cannot be read"))
	case content.Error != nil:
		problem.WriteFor(w, id, content.Error)
	default:
		problem.WriteJSON(w, http.StatusOK, struct {
			Data json.RawMessage `json:"data"`
			ID   string          `json:"id"`
		}{content.Data, id})
	}
}
