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
	config, grant := j.connector.DefaultConfig, ""
	if j.conn != nil {
		call.ConnectionID, grant = j.conn.ID, j.conn.Grant
		var err error
		if config, err = j.Store.OpenConfig(j.conn); err != nil {
			return nil, err
		}
	}
	return call, j.equip(ctx, j.connector, call, config, grant)
}

// equip gives a call its config, its authenticated client and its context. grant
// is the connection's OAuth grant, if it has one.
func (x *Executor) equip(ctx context.Context, c *connectors.Connector, call *connectors.Call, config json.RawMessage, grant string) error {
	call.Config = config
	runtime, err := c.Resolve(config)
	if err != nil {
		return err
	}
	call.BaseURL = runtime.BaseURL
	call.Secrets = c.SecretsOf(config)
	transport := connectors.NewTransport(x.HTTP.Transport, runtime)
	if c.Auth.OAuth2 != nil {
		if transport, err = x.bearer(ctx, c, call, runtime, grant); err != nil {
			return err
		}
	}
	call.HTTP = &http.Client{
		Transport:     transport,
		Timeout:       x.HTTP.Timeout,
		CheckRedirect: x.HTTP.CheckRedirect,
	}
	if c.Context == nil {
		return nil
	}
	call.Context, err = c.Context(ctx, call)
	return err
}

// bearer carries the grant's token. Asking for it now means that without one the
// handler does not begin.
func (x *Executor) bearer(ctx context.Context, c *connectors.Connector, call *connectors.Call, runtime connectors.Runtime, grant string) (http.RoundTripper, error) {
	if x.OAuth == nil || grant == "" {
		return nil, connectors.Errorf(connectors.CodeConnectorNotConnected, "%s needs a connection by OAuth", c.Key)
	}
	token, err := x.OAuth.Fresh(ctx, grant)
	if err != nil {
		return nil, err
	}
	call.Secrets = append(call.Secrets, token.Access)
	return x.OAuth.Transport(x.HTTP.Transport, c, grant, runtime), nil
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
