package ingress

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

const (
	defaultWait   = 30 * time.Second
	longestWait   = 60 * time.Second
	maxRequestID  = 128
	maxActionBody = 768 << 10 // leaves room for headers in a message of 1 MiB
)

// outcome is the data of a result event.
type outcome struct {
	Data  json.RawMessage   `json:"data,omitempty"`
	Error *connectors.Error `json:"error,omitempty"`
}

// runAction stores a request and waits for its result as long as the caller
// prefers. What is not done by then goes on; its result can be fetched.
func (i *Ingress) runAction(w http.ResponseWriter, r *http.Request) {
	request, wait, err := i.readAction(w, r)
	if err != nil {
		writeProblem(w, asError(err))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	result, err := i.request(ctx, request, wait)
	switch {
	case errors.Is(err, events.ErrPending):
		path := i.opts.BasePath + "/results/" + events.Reference(request.ActionRef, request.ID)
		w.Header().Set("Location", path)
		writeJSON(w, http.StatusAccepted, "application/json", map[string]string{"id": request.ID, "result_url": i.opts.BaseURL + path})
	case err != nil:
		writeProblem(w, storeError(err))
	default:
		writeOutcome(w, result)
	}
}

// request waits for the result; with no patience at all it only stores.
func (i *Ingress) request(ctx context.Context, a events.Action, wait time.Duration) (events.Event, error) {
	if wait > 0 {
		return i.Bus.Request(ctx, a)
	}
	if err := i.Bus.PublishAction(context.WithoutCancel(ctx), a); err != nil {
		return events.Event{}, err
	}
	return events.Event{}, events.ErrPending
}

func (i *Ingress) readAction(w http.ResponseWriter, r *http.Request) (events.Action, time.Duration, error) {
	a := events.Action{ActionRef: events.ActionRef{
		Tenant: connection.Nobody, Connector: r.PathValue("connector"), Action: r.PathValue("action"),
	}}
	def, err := i.Definitions.Get(a.Connector)
	if err != nil {
		return a, 0, err
	}
	if _, ok := def.Action(a.ActionRef.Action); !ok {
		return a, 0, connectors.Errorf(connectors.CodeConnectorActionNotFound, "%s has no action %.64q", a.Connector, a.ActionRef.Action)
	}
	if scope := r.PathValue("scope"); scope != "" {
		a.Tenant = events.Tenant{Scope: scope, Identity: identityOf(r)}
		if err := i.Scopes.Check(a.Tenant); err != nil {
			return a, 0, err
		}
	} else if def.DefaultConfig == nil {
		return a, 0, connectors.Errorf(connectors.CodeConnectorDefaultConfigRequired, "%s has no default config, so its actions need a connection", a.Connector)
	}
	a.Account = connection.NewRef(a.Tenant, a.Connector, r.URL.Query().Get("account")).Account
	if a.ID = r.Header.Get("Idempotency-Key"); a.ID == "" {
		a.ID, a.MadeUp = events.NewID(), true
	} else if len(a.ID) > maxRequestID {
		return a, 0, inputInvalid("Idempotency-Key", "at most 128 bytes")
	}
	wait, err := preferredWait(r)
	if err != nil {
		return a, 0, err
	}
	a.Input, err = readBody(w, r, maxActionBody)
	return a, wait, err
}

func inputInvalid(path, message string) error {
	e := connectors.Errorf(connectors.CodeConnectorActionInputInvalid, "the request is not valid")
	e.Errors = []connectors.FieldError{{Path: path, Message: message}}
	return e
}

// preferredWait reads "Prefer: wait=N" (RFC 7240), N in seconds.
func preferredWait(r *http.Request) (time.Duration, error) {
	for _, line := range r.Header.Values("Prefer") {
		for preference := range strings.SplitSeq(line, ",") {
			value, ok := strings.CutPrefix(strings.TrimSpace(preference), "wait=")
			if !ok {
				continue
			}
			n, err := strconv.Atoi(strings.Trim(value, `"`))
			if err != nil || n < 0 {
				return 0, inputInvalid("Prefer", "wait must be a whole number of seconds")
			}
			return min(time.Duration(n)*time.Second, longestWait), nil
		}
	}
	return defaultWait, nil
}

// getResult returns a stored result.
func (i *Ingress) getResult(w http.ResponseWriter, r *http.Request) {
	result, err := i.Bus.StoredResult(r.Context(), r.PathValue("id"))
	switch {
	case errors.Is(err, events.ErrNotFound):
		writeJSON(w, http.StatusNotFound, "application/problem+json", problem{
			Type: "about:blank", Title: "Not Found", Status: http.StatusNotFound, Detail: "there is no result of this request yet, or it has aged out",
		})
	case errors.Is(err, events.ErrAmbiguous):
		writeProblem(w, connectors.Errorf(connectors.CodeConnectorActionInputInvalid, "several tenants used this request id; use the result_url of the request"))
	case err != nil:
		writeProblem(w, storeError(err))
	default:
		writeOutcome(w, result)
	}
}

func writeOutcome(w http.ResponseWriter, result events.Event) {
	var o outcome
	if err := json.Unmarshal(result.Data(), &o); err != nil {
		writeProblem(w, connectors.Errorf(connectors.CodeInternal, "the stored result cannot be read"))
		return
	}
	if o.Error != nil {
		writeProblem(w, o.Error)
		return
	}
	writeJSON(w, http.StatusOK, "application/json", json.RawMessage(result.Data()))
}

// storeError is the answer when NATS did not take or give something.
func storeError(err error) *connectors.Error {
	if errors.Is(err, events.ErrTooLarge) {
		return tooLarge(maxActionBody)
	}
	e := connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "the stream did not answer; nothing was promised, try again")
	e.Cause, e.RetryAfter = err, time.Second
	return e
}
