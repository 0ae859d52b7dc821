package connectors

import (
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
// [SchemaFor]); the handler is a thin closure that decodes, calls and encodes. nil
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
				return nil, undecodable(err)
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

// undecodable is for input that fits the schema but not the Go type, such as a
// number that is too large for an int8. The decoder's text can quote the value.
func undecodable(err error) error {
	e := Errorf(CodeConnectorActionInputInvalid, "the input is invalid")
	e.Cause = err
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		e.Errors = []schema.FieldError{{Path: wrong.Field, Message: "does not fit its type"}}
	}
	return e
}

// Run performs one attempt: it checks the input and fills in defaults, calls the
// handler under the action's timeout, and checks the output. An empty input is {}.
//
// A failure is an *[Error] whose Cause is what the handler returned, so that
// [IsPermanent], [RetryDelay] and errors.Is see through it:
//   - CONNECTOR_ACTION_INPUT_INVALID, with all errors: the handler was not called;
//   - CONNECTOR_ACTION_OUTPUT_INVALID, with all errors: the handler has done its work;
//   - CONNECTOR_ACTION_TIMEOUT: the handler gave up because its time was over;
//   - the code of an [Error] that the handler returned;
//   - CONNECTOR_RATE_LIMITED or CONNECTOR_ACTION_FAILED for a [ProviderError];
//   - CONNECTOR_ACTION_FAILED for everything else, a panic included (see [PanicError]).
//
// Messages are freed from call.Secrets and from the URLs of requests. Run returns
// when the handler does, so a handler has to respect its context.
func (a *Action) Run(ctx context.Context, call *Call, input json.RawMessage) (json.RawMessage, error) {
	checked, err := a.CheckInput(input)
	if err != nil {
		return nil, err
	}
	return a.RunChecked(ctx, call, checked)
}

// RunChecked is Run of an input that CheckInput has returned.
func (a *Action) RunChecked(ctx context.Context, call *Call, checked json.RawMessage) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, a.TimeLimit())
	defer cancel()
	out, err := a.call(ctx, call, checked)
	if err != nil {
		return nil, failure(err, call)
	}
	output, wrong := a.Output.ValidateOutput(out)
	if wrong != nil {
		return nil, &Error{Code: CodeConnectorActionOutputInvalid, Message: "the output is invalid", Errors: wrong}
	}
	return output, nil
}

// call runs the handler and turns a panic into an error.
func (a *Action) call(ctx context.Context, call *Call, input json.RawMessage) (_ json.RawMessage, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = newPanic(value)
		}
	}()
	return a.Handler(ctx, call, input)
}

// Panic is the Cause of the error of a handler that panicked.
type PanicError struct {
	// What is the text of an error of the Go runtime, and else the type of the
	// value only: nobody knows what a value holds.
	What  string
	Stack []byte
}

func newPanic(value any) *PanicError {
	p := &PanicError{What: fmt.Sprintf("a value of type %T", value), Stack: debug.Stack()}
	if err, ok := value.(runtime.Error); ok {
		p.What = err.Error()
	}
	return p
}

// Error says what was thrown, without the stack.
func (p *PanicError) Error() string { return "the handler panicked: " + p.What }

// failure gives a handler's error its code, and a text that people may see.
func failure(err error, call *Call) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		public := *e
		public.Message = redact(e.Message, call)
		public.Errors = nil
		for _, field := range e.Errors {
			public.Errors = append(public.Errors, schema.FieldError{Path: redact(field.Path, call), Message: redact(field.Message, call)})
		}
		public.Reason = redact(e.Reason, call)
		public.Cause = err
		if d, ok := RetryDelay(err); ok {
			public.RetryAfter = d
		}
		return &public
	}
	e := AsError(err)
	if e.Code == CodeInternal { // neither a provider's error nor the deadline
		e.Code, e.Message = CodeConnectorActionFailed, publicText(err)
	}
	e.Message = redact(e.Message, call)
	return e
}
