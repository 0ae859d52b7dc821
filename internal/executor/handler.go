package executor

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// stubborn is how long a handler may go on after its deadline before its caller
// is answered without it.
const stubborn = time.Second

// call makes what the handler gets: the config in the clear, and an HTTP client
// that carries the connection's credentials.
func (j *job) call(ctx context.Context) (*connectors.Call, error) {
	call := &connectors.Call{
		Scope: j.Scope, Identity: j.Identity, Connector: j.Connector, Account: j.Account,
		Action: j.action.Key, RequestID: j.ID, Attempt: j.number(),
		IdempotencyKey: idempotencyKey(j.Action),
	}
	config := j.connector.DefaultConfig
	if j.conn != nil {
		call.ConnectionID = j.conn.ID
		var err error
		if config, err = j.Store.OpenConfig(j.conn); err != nil {
			return nil, err
		}
	}
	return call, j.equip(ctx, j.connector, call, config)
}

// equip gives a call its config, its authenticated client and its context.
func (x *Executor) equip(ctx context.Context, c *connectors.Connector, call *connectors.Call, config json.RawMessage) error {
	call.Config = config
	runtime, err := c.Resolve(config)
	if err != nil {
		return err
	}
	call.BaseURL = runtime.BaseURL
	call.Secrets = c.SecretsOf(config)
	call.HTTP = &http.Client{
		Transport:     connectors.NewTransport(x.HTTP.Transport, runtime),
		Timeout:       x.HTTP.Timeout,
		CheckRedirect: x.HTTP.CheckRedirect,
	}
	if c.Context == nil {
		return nil
	}
	call.Context, err = c.Context(ctx, call)
	return err
}

// handle runs the handler under the action's timeout and the request's deadline.
// A handler that does not heed its context is left behind: its caller is
// answered, and what it returns later is thrown away.
func (j *job) handle(ctx context.Context, call *connectors.Call, input json.RawMessage) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, j.action.TimeLimit())
	defer cancel()
	if !j.Deadline.IsZero() {
		ctx, cancel = context.WithDeadline(ctx, j.Deadline)
		defer cancel()
	}
	type answer struct {
		output json.RawMessage
		err    error
	}
	answers := make(chan answer, 1)
	j.metrics.running.Inc()
	go func() {
		defer j.metrics.running.Dec()
		output, err := j.action.Run(ctx, call, input)
		answers <- answer{output, err}
	}()
	var late <-chan time.Time
	done := ctx.Done()
	for {
		select {
		case a := <-answers:
			if a.err != nil && ctx.Err() != nil && errors.Is(a.err, ctx.Err()) {
				a.err = timedOut()
			}
			return a.output, a.err
		case <-done:
			done, late = nil, time.After(stubborn)
		case <-late:
			return nil, timedOut()
		}
	}
}

func timedOut() error {
	return &connectors.Error{Code: connectors.CodeConnectorActionTimeout, Message: "the action did not finish in time", Cause: context.DeadlineExceeded}
}
