package connectors

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// ActionOptions are the parts of an [Action] that have defaults.
type ActionOptions struct {
	Description string
	Idempotent  bool          // see Action.Idempotent
	Timeout     time.Duration // of one attempt; 0 means 30 s
	MaxAttempts int           // 0 means 5
}

// NewAction makes an action of a Go function. The schemas come from In and Out (see
// [SchemaFor]); the handler is a closure that decodes, calls and encodes. nil
// opts work. It panics where SchemaFor does.
//
// A nil slice in Out becomes [] in the output, if its place is a list in the schema.
func NewAction[In, Out any](key string, handler func(context.Context, *Call, In) (Out, error), opts *ActionOptions) Action {
	if opts == nil {
		opts = &ActionOptions{}
	}
	return Action{
		Key: key, Description: opts.Description,
		Input: schema.For[In](), Output: schema.For[Out](),
		Idempotent: opts.Idempotent, Timeout: opts.Timeout, MaxAttempts: opts.MaxAttempts,
		Handler: func(ctx context.Context, call *Call, input json.RawMessage) (json.RawMessage, error) {
			in, err := decodeInput[In](input)
			if err != nil {
				return nil, inputTypeError(err)
			}
			out, err := handler(ctx, call, in)
			if err != nil {
				return nil, err
			}
			encoded, err := json.Marshal(out)
			if err != nil {
				return nil, &Error{Code: CodeConnectorActionOutputInvalid, Message: "the output cannot be encoded", Cause: err}
			}
			return encoded, nil
		},
	}
}

// inputTypeError is for input that fits the schema but not the Go type, such as a
// number that is too large for an int8. The decoder's text can quote the value.
func inputTypeError(err error) error {
	e := Errorf(CodeConnectorActionInputInvalid, "the input is invalid")
	e.Cause = err
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		e.Errors = []schema.FieldError{{Path: wrong.Field, Message: "does not fit its type"}}
	}
	return e
}

// Run performs one attempt: it checks the input and adds defaults, calls the
// handler under the action's timeout, and checks the output. An empty input is {}.
//
// A failure is an *[Error] whose Cause is what the handler returned, so that
// [IsPermanent], [RetryDelay] and errors.Is see through it:
//   - CONNECTOR_ACTION_INPUT_INVALID, with all errors: the handler was not called;
//   - CONNECTOR_ACTION_OUTPUT_INVALID, with all errors: the handler has done its work;
//   - CONNECTOR_ACTION_TIMEOUT: the handler stopped because its time was over;
//   - the code of an [Error] that the handler returned;
//   - CONNECTOR_RATE_LIMITED or CONNECTOR_ACTION_FAILED for a [ProviderError];
//   - CONNECTOR_ACTION_FAILED for everything else, a panic included (see [PanicError]).
//
// call.Secrets and the URLs of requests are removed from messages. Run returns
// when the handler does, so a handler has to respect its context.
func (a *Action) Run(ctx context.Context, call *Call, input json.RawMessage) (json.RawMessage, error) {
	checked, err := a.CheckInput(input)
	if err != nil {
		return nil, err
	}
	return a.RunChecked(ctx, call, checked)
}

// CheckInput is the first step of [Action.Run] alone: it returns the input with
// its defaults, or CONNECTOR_ACTION_INPUT_INVALID with all errors.
func (a *Action) CheckInput(input json.RawMessage) (json.RawMessage, error) {
	checked, wrong := a.Input.Validate(orEmptyObject(input))
	if wrong != nil {
		return nil, &Error{Code: CodeConnectorActionInputInvalid, Message: inputProblem(input), Errors: wrong}
	}
	return checked, nil
}

// inputProblem says what an invalid input is, as far as its form tells: forms and whole
// events are sent in its place.
func inputProblem(input json.RawMessage) string {
	var event struct {
		SpecVersion string `json:"specversion"`
	}
	switch {
	case len(bytes.TrimSpace(input)) > 0 && !json.Valid(input):
		return "the input is not valid JSON: send a JSON document; over HTTP as the body, with Content-Type: application/json"
	case json.Unmarshal(input, &event) == nil && event.SpecVersion != "":
		return "the input is invalid, and looks like a whole CloudEvent: over NATS that needs the header Content-Type: application/cloudevents+json; over HTTP the body is the data alone"
	}
	return "the input is invalid"
}

// RunChecked is Run of an input that CheckInput has returned.
func (a *Action) RunChecked(ctx context.Context, call *Call, checked json.RawMessage) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, a.TimeLimit())
	defer cancel()
	var out json.RawMessage
	err := recovered(func() (err error) {
		out, err = a.Handler(ctx, call, checked)
		return err
	})
	if err != nil {
		return nil, publicError(err, call)
	}
	output, wrong := a.Output.ValidateOutput(out)
	if wrong != nil {
		return nil, &Error{Code: CodeConnectorActionOutputInvalid, Message: "the output is invalid", Errors: wrong}
	}
	return output, nil
}

// TimeLimit returns Timeout, or its default.
func (a *Action) TimeLimit() time.Duration {
	if a.Timeout <= 0 {
		return DefaultTimeout
	}
	return a.Timeout
}

// AttemptLimit returns MaxAttempts, or its default.
func (a *Action) AttemptLimit() int {
	if a.MaxAttempts <= 0 {
		return DefaultMaxAttempts
	}
	return a.MaxAttempts
}

// PanicError is the Cause of the error of a handler that panicked.
type PanicError struct {
	// Message is the text of an error of the Go runtime. Of any other value it is the
	// type only: the value may contain a secret.
	Message string
	Stack   []byte
}

// Error returns the message, without the stack.
func (p *PanicError) Error() string { return "the handler panicked: " + p.Message }

// recovered calls f and returns its panic as a [PanicError].
func recovered(f func() error) (err error) {
	defer func() {
		value := recover()
		if value == nil {
			return
		}
		p := &PanicError{Message: fmt.Sprintf("a value of type %T", value), Stack: debug.Stack()}
		if cause, ok := value.(runtime.Error); ok {
			p.Message = cause.Error()
		}
		err = p
	}()
	return f()
}
