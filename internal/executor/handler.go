package executor

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// call makes what the handler gets: the config in the clear, and an HTTP client
// that carries the connection's credentials.
func (j *job) call(ctx context.Context) (*connectors.Call, error) {
	call := &connectors.Call{
		Scope: j.Scope, Identity: j.Identity, Connector: j.Connector, Account: j.Account,
		Action: j.action.Key, RequestID: j.ID, Attempt: j.number(),
		IdempotencyKey: idempotencyKey(j.reference),
	}
	config := j.connector.DefaultConfig
	if j.conn != nil {
		call.ConnectionID = j.conn.ID
		var err error
		if config, err = j.Store.ConfigInUse(j.conn); err != nil {
			return nil, err
		}
	}
	j.witness.limit = j.connector.RateLimit
	return call, j.equip(ctx, j.connector, call, config, j.conn, j.witness)
}

// equip gives a call its config and its authenticated clients, whose requests go
// through transport. conn is the connection, nil if there is none.
func (x *Executor) equip(ctx context.Context, c *connectors.Connector, call *connectors.Call, config json.RawMessage, conn *connection.Connection, transport http.RoundTripper) error {
	call.Config = config
	runtime, err := c.Resolve(config)
	if err != nil {
		return err
	}
	call.BaseURL, call.RateLimit = runtime.BaseURL, c.RateLimit
	call.Secrets = c.SecretsOf(config)
	authenticated := connectors.NewTransport(transport, runtime)
	if c.Auth.OAuth2 != nil {
		if authenticated, err = x.bearer(ctx, c, call, runtime, conn, transport); err != nil {
			return err
		}
		call.Companions = x.companions(c, config, conn, transport)
	}
	call.HTTP = x.client(authenticated)
	return nil
}

func (x *Executor) client(transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: transport, Timeout: x.HTTP.Timeout, CheckRedirect: x.HTTP.CheckRedirect}
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
func (x *Executor) bearer(ctx context.Context, c *connectors.Connector, call *connectors.Call, runtime connectors.Runtime, conn *connection.Connection, transport http.RoundTripper) (http.RoundTripper, error) {
	if x.OAuth == nil || conn == nil || conn.Grant == "" {
		return nil, connectors.Errorf(connectors.CodeConnectorNotConnected, "%s needs a connection by OAuth", c.Key)
	}
	token, err := x.OAuth.Fresh(ctx, conn.Grant)
	if err != nil {
		return nil, err
	}
	call.Secrets = append(call.Secrets, token.Access)
	return x.OAuth.Transport(transport, c, conn.Grant, runtime), nil
}

// companions gives a handler the connection's further tokens, when it asks for them.
func (x *Executor) companions(c *connectors.Connector, config json.RawMessage, conn *connection.Connection, transport http.RoundTripper) *connectors.Companions {
	return connectors.NewCompanions(func(ctx context.Context, name string) (*connectors.Access, error) {
		as, ok := c.Companion(name)
		if !ok {
			return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s has no token %.64q", c.Key, name)
		}
		runtime, err := as.Resolve(config)
		if err != nil {
			return nil, err
		}
		token, err := x.OAuth.Companion(ctx, conn, name)
		if err != nil {
			return nil, err
		}
		carrying := x.OAuth.Transport(transport, as, conn.Companions[name], runtime)
		return &connectors.Access{BaseURL: runtime.BaseURL, HTTP: x.client(carrying), Secrets: []connectors.Secret{token.Access}}, nil
	})
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
