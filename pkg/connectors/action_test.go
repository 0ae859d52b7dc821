package connectors_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

type (
	sendIn struct {
		Text  string `json:"text" jsonschema:"minLength=1"`
		Times int8   `json:"times" jsonschema:"default=1"`
	}
	sendOut struct {
		ID    string   `json:"id" jsonschema:"minLength=1"`
		Parts []string `json:"parts"`
		Note  any      `json:"note,omitempty"`
	}
)

// run calls an action made of the handler.
func run(t *testing.T, input string, handler func(context.Context, *connectors.Call, sendIn) (sendOut, error)) (string, *connectors.Error) {
	t.Helper()
	action := connectors.NewAction("send", handler, nil)
	call := &connectors.Call{Secrets: []connectors.Secret{newSecret(t, "canary-7f3a"), newSecret(t, "s"), {}}}
	out, err := action.Run(t.Context(), call, json.RawMessage(input))
	if err == nil {
		return string(out), nil
	}
	failure, ok := errors.AsType[*connectors.Error](err)
	if !ok || out != nil {
		t.Fatalf("Run = %s, %v, want an *Error and no output", out, err)
	}
	return "", failure
}

func TestRunCallsTheHandlerWithDefaults(t *testing.T) {
	t.Parallel()
	got, err := run(t, ` {"text":"hi"}`, func(_ context.Context, _ *connectors.Call, in sendIn) (sendOut, error) {
		if in != (sendIn{"hi", 1}) {
			t.Errorf("the handler got %+v, want the default", in)
		}
		return sendOut{ID: "m1", Parts: []string{"<hi>"}}, nil
	})
	if want := `{"id":"m1","parts":["\u003chi\u003e"]}`; err != nil || got != want {
		t.Errorf("Run = %s, %v, want %s", got, err, want)
	}
}

func TestRunDoesNotCallTheHandlerWithBadInput(t *testing.T) {
	t.Parallel()
	never := func(context.Context, *connectors.Call, sendIn) (sendOut, error) {
		t.Error("the handler was called")
		return sendOut{}, nil
	}
	for input, want := range map[string][]schema.FieldError{
		``:                         errorsOf("text", "is required"),
		`{"text":"","x":1}`:        errorsOf("text", "must not be empty", "x", "is not a known field"),
		`{"text":`:                 errorsOf("text", "is not valid JSON: it ends too early, at byte 8"),
		`{"text":"a","times":300}`: errorsOf("times", "does not fit its type"),
	} {
		_, err := run(t, input, never)
		if err == nil || err.Code != connectors.CodeConnectorActionInputInvalid {
			t.Fatalf("Run(%s) = %v, want CONNECTOR_ACTION_INPUT_INVALID", input, err)
		}
		if diff := cmp.Diff(want, err.Errors); diff != "" {
			t.Errorf("Run(%s) (-want +got):\n%s", input, diff)
		}
	}
}

// The caller learns what to send, not only where the parser stopped.
func TestAnInputThatIsNoJSONSaysWhatToSend(t *testing.T) {
	t.Parallel()
	never := func(context.Context, *connectors.Call, sendIn) (sendOut, error) { return sendOut{}, nil }
	for input, want := range map[string]string{
		`text=hello&times=2`: "Content-Type: application/json",
		`hello`:              "Content-Type: application/json",
		`{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"text":"a"}}`: "Content-Type: application/cloudevents+json",
		`{"text":1}`: "the input is invalid",
	} {
		if _, err := run(t, input, never); err == nil || err.Code != connectors.CodeConnectorActionInputInvalid || !strings.Contains(err.Message, want) {
			t.Errorf("Run(%s) = %v, want a message with %q", input, err, want)
		}
	}
}

func TestRunChecksTheOutput(t *testing.T) {
	t.Parallel()
	_, err := run(t, `{"text":"a"}`, func(context.Context, *connectors.Call, sendIn) (sendOut, error) { return sendOut{}, nil })
	if err == nil || err.Code != connectors.CodeConnectorActionOutputInvalid {
		t.Fatalf("err = %v, want CONNECTOR_ACTION_OUTPUT_INVALID", err)
	}
	if diff := cmp.Diff(errorsOf("id", "must not be empty", "parts", "must be an array"), err.Errors); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	_, err = run(t, `{"text":"a"}`, func(context.Context, *connectors.Call, sendIn) (sendOut, error) {
		return sendOut{ID: "x", Note: func() {}}, nil
	})
	if err == nil || err.Code != connectors.CodeConnectorActionOutputInvalid {
		t.Errorf("a value that does not encode gives %v, want CONNECTOR_ACTION_OUTPUT_INVALID", err)
	}
	raw := connectors.Action{Handler: func(context.Context, *connectors.Call, json.RawMessage) (json.RawMessage, error) {
		return json.RawMessage(`{"half":`), nil
	}}
	if _, err := raw.Run(t.Context(), &connectors.Call{}, nil); !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorActionOutputInvalid}) {
		t.Errorf("broken JSON of a raw action gives %v, want CONNECTOR_ACTION_OUTPUT_INVALID", err)
	}
}

func TestNilSlicesInTheOutputBecomeEmptyArrays(t *testing.T) {
	t.Parallel()
	got, err := run(t, `{"text":"a"}`, func(context.Context, *connectors.Call, sendIn) (sendOut, error) { return sendOut{ID: "x"}, nil })
	if want := `{"id":"x","parts":[]}`; err != nil || got != want {
		t.Errorf("Run = %s, %v, want %s", got, err, want)
	}
	type row struct {
		Cells []int          `json:"cells"`
		More  map[string]any `json:"more,omitempty"`
	}
	rows := connectors.NewAction("rows", func(_ context.Context, _ *connectors.Call, in struct{}) ([]row, error) {
		return []row{{}, {Cells: []int{1}, More: map[string]any{"n": nil}}, {}}, nil
	}, nil)
	out, failure := rows.Run(t.Context(), &connectors.Call{}, nil)
	if want := `[{"cells":[]},{"cells":[1],"more":{"n":null}},{"cells":[]}]`; failure != nil || string(out) != want {
		t.Errorf("Run = %s, %v, want %s", out, failure, want)
	}
	nothing := connectors.NewAction("none", func(context.Context, *connectors.Call, struct{}) (*row, error) { return nil, nil }, nil)
	if _, err := nothing.Run(t.Context(), &connectors.Call{}, nil); !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorActionOutputInvalid}) {
		t.Errorf("a nil object gives %v, want CONNECTOR_ACTION_OUTPUT_INVALID", err)
	}
}

func TestRunReturnsEveryFailureWithACode(t *testing.T) {
	t.Parallel()
	coded := &connectors.Error{Code: connectors.CodeForbidden, Message: "canary-7f3a is no admin", Errors: errorsOf("a", "canary-7f3a"), Reason: "canary-7f3a"}
	request := &url.Error{Op: "Get", URL: "http://10.0.0.1/?key=x", Err: io.ErrUnexpectedEOF}
	tests := []struct {
		name      string
		err       error
		code      connectors.Code
		message   string
		status    int
		after     time.Duration
		permanent bool
	}{
		{"a plain error", errors.New("no such channel"), "CONNECTOR_ACTION_FAILED", "no such channel", 0, 0, false},
		{"a secret in the text", errors.New("bad key canary-7f3a, ask x"), "CONNECTOR_ACTION_FAILED", "bad key [redacted], ask x", 0, 0, false},
		{"a secret in a URL", errors.New("at /?q=" + url.QueryEscape("canary-7f3a")), "CONNECTOR_ACTION_FAILED", "at /?q=[redacted]", 0, 0, false},
		{"a permanent error", connectors.Permanent(errors.New("gone")), "CONNECTOR_ACTION_FAILED", "gone", 0, 0, true},
		{"later", connectors.RetryAfter(time.Minute, errors.New("busy")), "CONNECTOR_ACTION_FAILED", "busy", 0, time.Minute, false},
		{"a provider's answer", &connectors.ProviderError{Status: 503, RetryAfter: time.Second, Message: "canary-7f3a?"}, "CONNECTOR_ACTION_FAILED", "the provider answered 503: [redacted]?", 503, time.Second, false},
		{"a limit", fmt.Errorf("send: %w", &connectors.ProviderError{Status: 429, RetryAfter: time.Second}), "CONNECTOR_RATE_LIMITED", "the provider answered 429", 429, time.Second, false},
		{"a code", fmt.Errorf("send: %w", coded), "FORBIDDEN", "[redacted] is no admin", 0, 0, false},
		{"a code, later", connectors.RetryAfter(time.Hour, coded), "FORBIDDEN", "[redacted] is no admin", 0, time.Hour, false},
		{"a failed request", fmt.Errorf("send: %w", request), "CONNECTOR_ACTION_FAILED", "the request to the provider failed", 0, 0, false},
		{"a request that timed out", &url.Error{Err: timeout{}}, "CONNECTOR_ACTION_FAILED", "the provider did not answer in time", 0, 0, false},
		{"the deadline", fmt.Errorf("send: %w", context.DeadlineExceeded), "CONNECTOR_ACTION_TIMEOUT", "the deadline has passed", 0, 0, false},
		{"a long text", errors.New(strings.Repeat("ä", 1000)), "CONNECTOR_ACTION_FAILED", strings.Repeat("ä", 250) + "…", 0, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, got := run(t, `{"text":"a"}`, func(context.Context, *connectors.Call, sendIn) (sendOut, error) { return sendOut{}, tt.err })
			if got.Code != tt.code || got.Message != tt.message || got.ProviderStatus != tt.status || got.RetryAfter != tt.after {
				t.Errorf("got %s %q, status %d, after %s; want %s %q, %d, %s", got.Code, got.Message, got.ProviderStatus, got.RetryAfter, tt.code, tt.message, tt.status, tt.after)
			}
			if connectors.IsPermanent(got) != tt.permanent || !errors.Is(got, tt.err) {
				t.Errorf("%v has lost its mark or its cause", got)
			}
			mustNotShow(t, "canary-7f3a", got)
		})
	}
}

type timeout struct{}

func (timeout) Error() string { return "timeout" }
func (timeout) Timeout() bool { return true }

func TestRunReturnsPanicsAsErrors(t *testing.T) {
	t.Parallel()
	var none map[string]int
	for _, tt := range []struct {
		panics func()
		want   string
	}{
		{func() { panic("canary-7f3a") }, "the handler panicked: a value of type string"},
		{func() { panic(errors.New("canary-7f3a")) }, "the handler panicked: a value of type *errors.errorString"},
		{func() { none["canary-7f3a"] = 1 }, "the handler panicked: assignment to entry in nil map"},
	} {
		_, err := run(t, `{"text":"a"}`, func(context.Context, *connectors.Call, sendIn) (sendOut, error) {
			tt.panics()
			return sendOut{}, nil
		})
		if err == nil || err.Code != connectors.CodeConnectorActionFailed || err.Message != tt.want {
			t.Errorf("Run = %v, want CONNECTOR_ACTION_FAILED: %s", err, tt.want)
		}
		mustNotShow(t, "canary-7f3a", err)
		if p, ok := errors.AsType[*connectors.PanicError](err); !ok || !strings.Contains(string(p.Stack), "action_test.go") {
			t.Error("the stack is lost")
		}
	}
}

func TestRunEndsWithTheActionsTimeout(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ timeout, want time.Duration }{{time.Second, time.Second}, {0, 30 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			waits := connectors.NewAction("wait", func(ctx context.Context, _ *connectors.Call, _ struct{}) (struct{}, error) {
				<-ctx.Done()
				return struct{}{}, ctx.Err()
			}, &connectors.ActionOptions{Timeout: tt.timeout})
			start := time.Now()
			_, err := waits.Run(t.Context(), &connectors.Call{}, nil)
			if !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorActionTimeout}) || time.Since(start) != tt.want {
				t.Errorf("after %s: %v, want CONNECTOR_ACTION_TIMEOUT after %s", time.Since(start), err, tt.want)
			}
		})
	}
}

func TestRunValidateBlamesTheConfigOnlyForItsOwnFaults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"nothing wrong", nil, ""},
		{"a plain error", errors.New("the key canary-7f3a is not one of ours"), "CONNECTOR_CONFIG_INVALID: the key [redacted] is not one of ours"},
		{"refused by the provider", &connectors.ProviderError{Status: 401}, "CONNECTOR_CONFIG_INVALID: the provider answered 401"},
		{"a code", connectors.Errorf(connectors.CodeForbidden, "no"), "FORBIDDEN: no"},
		{"a provider that is down", &connectors.ProviderError{Status: 503}, "CONNECTOR_ACTION_FAILED: the provider answered 503"},
		{"a limit", &connectors.ProviderError{Status: 429}, "CONNECTOR_RATE_LIMITED: the provider answered 429"},
		{"a provider that is not there", &url.Error{Op: "Get", URL: "http://10.0.0.1", Err: io.EOF}, "CONNECTOR_ACTION_FAILED: the request to the provider failed"},
		{"the deadline", context.DeadlineExceeded, "CONNECTOR_ACTION_TIMEOUT: the deadline has passed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := connectors.Connector{Validate: func(context.Context, *connectors.Call) error { return tt.err }}
			got := ""
			if err := c.RunValidate(t.Context(), &connectors.Call{Secrets: []connectors.Secret{newSecret(t, "canary-7f3a")}}); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("RunValidate = %q, want %q", got, tt.want)
			}
		})
	}
	if err := (&connectors.Connector{}).RunValidate(t.Context(), &connectors.Call{}); err != nil {
		t.Errorf("without Validate: %v, want nil", err)
	}
	panics := connectors.Connector{Validate: func(context.Context, *connectors.Call) error { panic("canary-7f3a") }}
	if err := panics.RunValidate(t.Context(), &connectors.Call{}); !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorActionFailed}) {
		t.Errorf("a panic gives %v, want CONNECTOR_ACTION_FAILED", err)
	}
}

func TestNewActionTakesItsOptions(t *testing.T) {
	t.Parallel()
	a := connectors.NewAction("x", func(context.Context, *connectors.Call, sendIn) (sendOut, error) { return sendOut{}, nil },
		&connectors.ActionOptions{Description: "d", Idempotent: true, Timeout: time.Second, MaxAttempts: 2})
	if a.Key != "x" || a.Description != "d" || !a.Idempotent || a.Timeout != time.Second || a.MaxAttempts != 2 {
		t.Errorf("got %+v", a)
	}
	if zero := (&connectors.Action{}); a.TimeLimit() != time.Second || a.AttemptLimit() != 2 || zero.TimeLimit() != 30*time.Second || zero.AttemptLimit() != 5 {
		t.Error("limits must be the options, or their defaults")
	}
}
