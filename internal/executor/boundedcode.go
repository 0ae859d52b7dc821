package executor

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// abandonAfter is how long a connector's code may go on after its deadline before its
// caller gets an error instead of an answer.
const abandonAfter = time.Second

// runBounded returns what f returns. f is a connector's code, which may ignore that its
// context has ended: runBounded then returns a timeout [abandonAfter] later, and discards
// what f returns.
func (w *workers) runBounded(ctx context.Context, f func() (json.RawMessage, error)) (json.RawMessage, error) {
	type answer struct {
		output json.RawMessage
		err    error
	}
	answers := make(chan answer, 1)
	w.run(func() {
		output, err := f()
		answers <- answer{output, err}
	})
	var abandon <-chan time.Time
	done := ctx.Done()
	for {
		select {
		case a := <-answers:
			if a.err != nil && ctx.Err() != nil && errors.Is(a.err, ctx.Err()) {
				a.err = timedOut()
			}
			return a.output, a.err
		case <-done:
			done, abandon = nil, time.After(abandonAfter)
		case <-abandon:
			return nil, timedOut()
		}
	}
}

// setContext runs the connector's Context function, under the same rules as a handler: it
// may call the provider, and may fail in every way.
func (w *workers) setContext(ctx context.Context, c *connectors.Connector, call *connectors.Call) error {
	if c.Context == nil {
		return nil
	}
	var value any
	run := &connectors.Action{Handler: func(ctx context.Context, call *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
		var err error
		value, err = c.Context(ctx, call)
		return json.RawMessage("{}"), err
	}}
	_, err := w.runBounded(ctx, func() (json.RawMessage, error) { return run.Run(ctx, call, nil) })
	if err == nil {
		call.Context = value
	}
	return err
}
