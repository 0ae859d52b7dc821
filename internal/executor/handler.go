package executor

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
)

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
	return call, j.equip(ctx, j.connector, call, config, grant, j.witness)
}

// equip gives a call its config and its authenticated client, whose requests go
// through transport. grant is the connection's OAuth grant, if it has one.
func (x *Executor) equip(ctx context.Context, c *connectors.Connector, call *connectors.Call, config json.RawMessage, grant string, transport http.RoundTripper) error {
	call.Config = config
	runtime, err := c.Resolve(config)
	if err != nil {
		return err
	}
	call.BaseURL = runtime.BaseURL
	call.Secrets = c.SecretsOf(config)
	authenticated := connectors.NewTransport(transport, runtime)
	if c.Auth.OAuth2 != nil {
		if authenticated, err = x.bearer(ctx, c, call, runtime, grant, transport); err != nil {
			return err
		}
	}
	call.HTTP = &http.Client{
		Transport:     authenticated,
		Timeout:       x.HTTP.Timeout,
		CheckRedirect: x.HTTP.CheckRedirect,
	}
	return nil
}

// context runs the connector's Context, under the same rules as a handler: it is
// foreign code, may ask the provider, and may fail in every way.
func (x *Executor) context(ctx context.Context, c *connectors.Connector, call *connectors.Call) error {
	if c.Context == nil {
		return nil
	}
	var made any
	prepare := &connectors.Action{Handler: func(ctx context.Context, call *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
		var err error
		made, err = c.Context(ctx, call)
		return json.RawMessage("{}"), err
	}}
	_, err := x.within(ctx, func() (json.RawMessage, error) { return prepare.Run(ctx, call, nil) })
	if err == nil {
		call.Context = made
	}
	return err
}

// bearer carries the grant's token, over transport. Asking for it now means that
// without one the handler does not begin.
func (x *Executor) bearer(ctx context.Context, c *connectors.Connector, call *connectors.Call, runtime connectors.Runtime, grant string, transport http.RoundTripper) (http.RoundTripper, error) {
	if x.OAuth == nil || grant == "" {
		return nil, connectors.Errorf(connectors.CodeConnectorNotConnected, "%s needs a connection by OAuth", c.Key)
	}
	token, err := x.OAuth.Fresh(ctx, grant)
	if err != nil {
		return nil, err
	}
	call.Secrets = append(call.Secrets, token.Access)
	return x.OAuth.Transport(transport, c, grant, runtime), nil
}

// handle runs the handler.
func (j *job) handle(ctx context.Context, call *connectors.Call, input json.RawMessage) (json.RawMessage, error) {
	j.metrics.running.Inc()
	return j.within(ctx, func() (json.RawMessage, error) {
		defer j.metrics.running.Dec()
		return j.action.RunChecked(ctx, call, input)
	})
}

// stubborn is how long foreign code may go on after its deadline before its
// caller is answered without it.
const stubborn = time.Second

// within returns what f returns. Foreign code that does not heed its context is
// left behind a moment after ctx has ended: its caller is answered, and what it
// returns later is thrown away.
func (x *Executor) within(ctx context.Context, f func() (json.RawMessage, error)) (json.RawMessage, error) {
	type answer struct {
		output json.RawMessage
		err    error
	}
	answers := make(chan answer, 1)
	x.crew.run(func() {
		output, err := f()
		answers <- answer{output, err}
	})
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
