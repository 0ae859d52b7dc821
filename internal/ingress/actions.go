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
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
)

const (
	defaultWait   = 30 * time.Second
	longestWait   = 60 * time.Second
	maxRequestID  = 128
	maxActionBody = 768 << 10 // leaves room for headers in a message of 1 MiB
)

// runAction stores a request and waits for its result as long as the caller
// prefers. What is not done by then goes on; its result can be fetched.
func (i *Ingress) runAction(w http.ResponseWriter, r *http.Request) {
	request, wait, err := i.readAction(w, r)
	if err != nil {
		writeProblem(w, connectors.AsError(err))
		return
	}
	result, err := i.request(r.Context(), request, wait)
	switch {
	case errors.Is(err, events.ErrPending):
		path := i.opts.BasePath + "/results/" + events.Reference(request.ActionRef, request.ID)
		w.Header().Set("Location", path)
		writeJSON(w, http.StatusAccepted, jsonType, map[string]string{"id": request.ID, "result_url": i.opts.BaseURL + path})
	case errors.Is(err, events.ErrTooLarge):
		writeProblem(w, tooLarge(maxActionBody, connectors.CodeConnectorActionInputInvalid))
	case err != nil:
		writeProblem(w, storeError(err))
	default:
		writeOutcome(w, result)
	}
}

// request waits for the result. With no patience at all it only stores, and so
// when too many wait already: those who wait must not crowd out the webhooks.
func (i *Ingress) request(ctx context.Context, a events.Action, wait time.Duration) (events.Event, error) {
	if wait > 0 {
		select {
		case i.waiting <- struct{}{}:
			defer func() { <-i.waiting }()
			ctx, cancel := context.WithTimeout(ctx, wait)
			defer cancel()
			return i.Bus.Request(ctx, a)
		default:
		}
	}
	if err := i.Bus.PublishAction(ctx, a); err != nil {
		return events.Event{}, err
	}
	return events.Event{}, events.ErrPending
}

// readAction reads a request, and refuses what could never run.
func (i *Ingress) readAction(w http.ResponseWriter, r *http.Request) (events.Action, time.Duration, error) {
	a := events.Action{ActionRef: events.ActionRef{
		Tenant: connection.DefaultConfigTenant, Connector: r.PathValue("connector"), Action: r.PathValue("action"),
	}}
	def, err := i.Definitions.Get(a.Connector)
	if err != nil {
		return a, 0, err
	}
	if _, ok := def.Action(a.ActionRef.Action); !ok {
		return a, 0, connectors.Errorf(connectors.CodeConnectorActionNotFound, "%s has no action %.64q", a.Connector, a.ActionRef.Action)
	}
	if scope := r.PathValue("scope"); scope != "" {
		a.Tenant = events.Tenant{Scope: scope, Identity: i.identityOf(r)}
		if err := i.Scopes.Check(a.Tenant); err != nil {
			return a, 0, err
		}
	} else if def.DefaultConfig == nil {
		return a, 0, connectors.Errorf(connectors.CodeConnectorDefaultConfigRequired, "%s has no default config, so its actions need a connection", a.Connector)
	}
	if err := readAccount(&a, r); err != nil {
		return a, 0, err
	}
	wait, err := preferredWait(r.Header.Values("Prefer"))
	if err == nil {
		err = readRequestID(&a, r.Header.Values("Idempotency-Key"))
	}
	if err != nil {
		return a, 0, err
	}
	if a.Input, err = readBody(w, r, maxActionBody); err != nil {
		return a, 0, bodyError(err, maxActionBody, connectors.CodeConnectorActionInputInvalid)
	}
	return a, wait, nil
}

// readAccount takes the account from the query, which holds nothing else.
func readAccount(a *events.Action, r *http.Request) error {
	q, err := knownQuery(r, "account")
	if err != nil {
		e := connectors.AsError(err)
		e.Code = connectors.CodeConnectorActionInputInvalid
		return e
	}
	account := q.Get("account")
	if message := connection.AccountProblem(account); message != "" {
		return inputInvalid("account", message)
	}
	a.Account = connection.NewRef(a.Tenant, a.Connector, account).Account
	return nil
}

// readRequestID takes the request's id from the header Idempotency-Key, or makes
// one up.
func readRequestID(a *events.Action, keys []string) error {
	switch {
	case len(keys) == 0 || len(keys) == 1 && keys[0] == "":
		a.ID, a.MadeUp = events.NewID(), true
	case len(keys) > 1:
		return inputInvalid("Idempotency-Key", "is there more than once")
	case len(keys[0]) > maxRequestID || strings.ContainsFunc(keys[0], func(c rune) bool { return c < ' ' || c > '~' }):
		return inputInvalid("Idempotency-Key", "at most 128 bytes of printable ASCII")
	default:
		a.ID = keys[0]
	}
	return nil
}

func inputInvalid(path, message string) error {
	e := connectors.Errorf(connectors.CodeConnectorActionInputInvalid, "the request is not valid")
	e.Errors = []schema.FieldError{{Path: path, Message: message}}
	return e
}

// preferredWait reads "Prefer: wait=N" (RFC 7240), N in seconds. Other
// preferences are passed over, as they are to be.
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
		writeJSON(w, http.StatusNotFound, problemType, plainProblem(http.StatusNotFound, "there is no result of this request yet, or it has aged out"))
	case errors.Is(err, events.ErrAmbiguous):
		writeProblem(w, connectors.Errorf(connectors.CodeConnectorActionInputInvalid, "several tenants used this request id; use the result_url of the request"))
	case err != nil:
		writeProblem(w, storeError(err))
	default:
		writeOutcome(w, result)
	}
}

// writeOutcome answers with a result: its data, or its error as a problem.
func writeOutcome(w http.ResponseWriter, result events.Event) {
	var outcome struct{ Error *connectors.Error }
	switch err := json.Unmarshal(result.Data(), &outcome); {
	case err != nil:
		writeProblem(w, connectors.Errorf(connectors.CodeInternal, "the stored result cannot be read"))
	case outcome.Error != nil:
		writeProblem(w, outcome.Error)
	default:
		writeJSON(w, http.StatusOK, jsonType, json.RawMessage(result.Data()))
	}
}

// storeError is the answer when NATS did not take or give something. What can
// never be stored is the caller's fault: trying again does not help.
func storeError(err error) *connectors.Error {
	if errors.Is(err, events.ErrRequest) {
		e := connectors.Errorf(connectors.CodeConnectorActionInputInvalid, "%w", err)
		e.Errors = []schema.FieldError{{Path: "id", Message: "cannot be carried by a request"}}
		return e
	}
	e := connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "the stream did not answer; nothing was promised, try again")
	e.Cause, e.RetryAfter = err, time.Second
	return e
}
