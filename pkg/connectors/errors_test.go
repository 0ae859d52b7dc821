package connectors_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// The tables of INTERFACE.md, sections 5 and 10, and what can be repeated.
var codes = map[connectors.Code]struct {
	status    int
	retryable bool
}{
	"CONNECTOR_NOT_FOUND": {404, false}, "CONNECTOR_NOT_CONNECTED": {404, false}, "CONNECTOR_DISABLED": {409, false},
	"CONNECTOR_ALREADY_CONNECTED": {409, false}, "CONNECTOR_CONFIG_INVALID": {400, false},
	"CONNECTOR_DEFAULT_CONFIG_REQUIRED": {400, false}, "CONNECTOR_ACTION_NOT_FOUND": {404, false},
	"CONNECTOR_ACTION_INPUT_INVALID": {400, false}, "CONNECTOR_ACTION_OUTPUT_INVALID": {502, false},
	"CONNECTOR_ACTION_FAILED": {502, true}, "CONNECTOR_ACTION_TIMEOUT": {504, true}, "CONNECTOR_ACTION_UNCERTAIN": {502, false},
	"CONNECTOR_RATE_LIMITED": {429, true}, "CONNECTOR_SCOPE_INVALID": {400, false},
	"CONNECTOR_SCOPE_IDENTIFIER_REQUIRED": {400, false}, "CONNECTOR_DATABASE_REQUIRED": {500, false},
	"CONNECTOR_DATABASE_FAILED": {503, true}, "CONNECTOR_OAUTH_NOT_CONFIGURED": {400, false},
	"CONNECTOR_OAUTH_STATE_INVALID": {400, false}, "CONNECTOR_OAUTH_DENIED": {400, false},
	"CONNECTOR_OAUTH_TOKEN_FAILED": {502, true}, "CONNECTOR_OAUTH_PARSE_TOKEN_FAILED": {502, false},
	"CONNECTOR_OAUTH_PARSE_USERINFO_FAILED": {502, false}, "CONNECTOR_OAUTH_REFRESH_FAILED": {401, false},
	"CONNECTOR_OAUTH_SITE_SELECTION_REQUIRED": {409, false}, "CONNECTOR_WEBHOOK_NOT_CONFIGURED": {404, false},
	"CONNECTOR_WEBHOOK_VALIDATION_FAILED": {400, false}, "CONNECTOR_WEBHOOK_VERIFICATION_FAILED": {401, false},
	"CONNECTOR_WEBHOOK_TOO_LARGE": {413, false}, "CONNECTOR_ENCRYPT_FAILED": {500, false}, "CONNECTOR_DECRYPT_FAILED": {500, false},
	"CONNECTOR_ENCRYPTION_SECRET_REQUIRED": {500, false}, "CONNECTOR_BUILD_CONFIG_REQUIRED": {500, false},
	"CONNECTOR_BUILD_SCOPES_REQUIRED": {500, false}, "CONNECTOR_BUILD_CONNECTORS_REQUIRED": {500, false},
	"CONNECTOR_IDEMPOTENCY_CONFLICT": {422, false}, "CONNECTOR_QUOTA_EXCEEDED": {429, true}, "CONNECTOR_UNAVAILABLE": {503, true},
	"REQUEST_INVALID": {400, false}, "REQUEST_TOO_LARGE": {413, false},
	"UNAUTHENTICATED": {401, false}, "FORBIDDEN": {403, false}, "INTERNAL": {500, true},
}

func TestEveryCodeHasItsStatusAndItsRetries(t *testing.T) {
	t.Parallel()
	if got := len(connectors.Codes()); got != len(codes) {
		t.Errorf("there are %d codes, want %d", got, len(codes))
	}
	for _, code := range connectors.Codes() {
		want, ok := codes[code]
		if !ok {
			t.Errorf("%s is not in the interface", code)
		}
		if code.HTTPStatus() != want.status || code.Retryable() != want.retryable {
			t.Errorf("%s: status %d, retryable %v; want %d, %v", code, code.HTTPStatus(), code.Retryable(), want.status, want.retryable)
		}
	}
	if unknown := connectors.Code("OF_TOMORROW"); unknown.HTTPStatus() != 500 || unknown.Retryable() {
		t.Error("an unknown code has to be a 500 that is not retried")
	}
}

func TestErrorIsFoundByItsCodeAndItsCause(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("connect: %w", connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "write record: %w", io.ErrUnexpectedEOF))
	if !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorDatabaseFailed}) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v is not found by its code or its cause", err)
	}
	if errors.Is(err, &connectors.Error{Code: connectors.CodeForbidden}) {
		t.Errorf("%v is found by another code", err)
	}
	if got, want := err.Error(), "connect: CONNECTOR_DATABASE_FAILED: write record: unexpected EOF"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (&connectors.Error{Code: "X"}).Error(); got != "X" {
		t.Errorf("got %q, want X", got)
	}
}

func TestErrorIsTheSameAfterJSON(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   connectors.Error
		json string
		out  connectors.Error
	}{
		{connectors.Error{Code: "INTERNAL", Message: "m"}, `{"code":"INTERNAL","message":"m"}`, connectors.Error{Code: "INTERNAL", Message: "m"}},
		{
			connectors.Error{
				Code: "CONNECTOR_RATE_LIMITED", Message: "slow down", Errors: []schema.FieldError{{Path: "a.b", Message: "is required"}},
				RetryAfter: 1500 * time.Millisecond, ProviderStatus: 429, Reason: "burst", Cause: io.EOF,
			},
			`{"code":"CONNECTOR_RATE_LIMITED","message":"slow down","errors":[{"path":"a.b","message":"is required"}],"retry_after":2,"provider_status":429,"reason":"burst"}`,
			connectors.Error{
				Code: "CONNECTOR_RATE_LIMITED", Message: "slow down", Errors: []schema.FieldError{{Path: "a.b", Message: "is required"}},
				RetryAfter: 2 * time.Second, ProviderStatus: 429, Reason: "burst",
			},
		},
	}
	for _, tt := range tests {
		for _, v := range []any{tt.in, &tt.in} {
			b, err := json.Marshal(v)
			if err != nil || string(b) != tt.json {
				t.Errorf("Marshal = %s, %v, want %s", b, err, tt.json)
			}
		}
		var out connectors.Error
		if err := json.Unmarshal([]byte(tt.json), &out); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.out, out); diff != "" {
			t.Errorf("round trip of %s (-want +got):\n%s", tt.json, diff)
		}
	}
	var far connectors.Error
	if err := json.Unmarshal([]byte(`{"code":"X","retry_after":9000000000000000000}`), &far); err != nil || far.RetryAfter <= 0 {
		t.Errorf("a far retry_after reads as %v, %v, want a positive duration", far.RetryAfter, err)
	}
	if err := json.Unmarshal([]byte(`{"code":7}`), &far); err == nil {
		t.Error("a document of another shape was read")
	}
}

func TestAsErrorReturnsEveryErrorWithACode(t *testing.T) {
	t.Parallel()
	own := connectors.Errorf(connectors.CodeForbidden, "no")
	// The other errors: see TestRunReturnsEveryFailureWithACode.
	for err, after := range map[error]time.Duration{errors.New("pq: password canary-7f3a"): 0, connectors.RetryAfter(time.Minute, io.EOF): time.Minute} {
		got := connectors.AsError(err)
		if got.Code != connectors.CodeInternal || got.Message != "internal error" || got.RetryAfter != after || !errors.Is(got, err) {
			t.Errorf("AsError(%v) = %+v after %s, want INTERNAL after %s", err, got, got.RetryAfter, after)
		}
	}
	if connectors.AsError(nil) != nil {
		t.Error("AsError(nil) must be nil")
	}
	if got := connectors.AsError(fmt.Errorf("x: %w", own)); got != own {
		t.Error("an Error in the chain must be returned itself")
	}
}

func TestErrorsDecideAboutRetries(t *testing.T) {
	t.Parallel()
	failed := &connectors.Error{Code: connectors.CodeConnectorActionFailed}
	tests := []struct {
		name      string
		err       error
		permanent bool
		retryable bool
		after     time.Duration
		asked     bool
	}{
		{"nothing", nil, false, false, 0, false},
		{"a plain error", io.EOF, false, true, 0, false},
		{"permanent", connectors.Permanent(io.EOF), true, false, 0, false},
		{"permanent inside", fmt.Errorf("x: %w", connectors.Permanent(io.EOF)), true, false, 0, false},
		{"later", connectors.RetryAfter(time.Hour, io.EOF), false, true, time.Hour, true},
		{"at once", connectors.RetryAfter(-1, io.EOF), false, true, 0, true},
		{"the outermost counts", connectors.Permanent(connectors.RetryAfter(time.Hour, io.EOF)), true, false, 0, false},
		{"the outermost counts too", connectors.RetryAfter(time.Hour, connectors.Permanent(io.EOF)), false, true, time.Hour, true},
		{"by code, yes", failed, false, true, 0, false},
		{"by code, no", &connectors.Error{Code: connectors.CodeForbidden}, false, false, 0, false},
		{"by code against a mark", connectors.RetryAfter(time.Hour, &connectors.Error{Code: connectors.CodeForbidden}), false, true, time.Hour, true},
		{"a delay of the error", &connectors.Error{Code: connectors.CodeConnectorRateLimited, RetryAfter: time.Minute}, false, true, time.Minute, true},
		{"provider 400", &connectors.ProviderError{Status: 400}, false, false, 0, false},
		{"provider 408", &connectors.ProviderError{Status: 408}, false, true, 0, false},
		{"provider 425", &connectors.ProviderError{Status: 425}, false, true, 0, false},
		{"provider 429", &connectors.ProviderError{Status: 429, RetryAfter: time.Second}, false, true, time.Second, true},
		{"provider 503", &connectors.ProviderError{Status: 503}, false, true, 0, false},
		{"provider 422, coded", &connectors.Error{Code: connectors.CodeConnectorActionFailed, ProviderStatus: 422}, false, false, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			after, asked := connectors.RetryDelay(tt.err)
			if connectors.IsPermanent(tt.err) != tt.permanent || connectors.IsRetryable(tt.err) != tt.retryable || after != tt.after || asked != tt.asked {
				t.Errorf("permanent %v, retryable %v, delay %s %v; want %v, %v, %s %v", connectors.IsPermanent(tt.err), connectors.IsRetryable(tt.err), after, asked,
					tt.permanent, tt.retryable, tt.after, tt.asked)
			}
		})
	}
	if connectors.Permanent(nil) != nil || connectors.RetryAfter(1, nil) != nil {
		t.Error("a mark of nil must be nil")
	}
	if err := connectors.Permanent(io.EOF); !errors.Is(err, io.EOF) || err.Error() != "EOF" {
		t.Errorf("a mark changes its error: %v", err)
	}
}

// printed returns everything that v shows of itself.
func printed(t *testing.T, v any) string {
	t.Helper()
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&b, verb+"\n", v)
	}
	j, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	b.Write(j)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("json", "v", v)
	slog.New(slog.NewTextHandler(&log, nil)).Info("text", "v", v)
	b.Write(log.Bytes())
	return b.String()
}

// mustNotShow fails if v shows the canary, plain, in hex or in base64.
func mustNotShow(t *testing.T, canary string, v any) {
	t.Helper()
	got := printed(t, v)
	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), strings.Trim(fmt.Sprint([]byte(canary)), "[]")} {
		if strings.Contains(got, form) {
			t.Errorf("%T shows the secret:\n%s", v, got)
		}
	}
}

func TestPrintedValuesContainNoSecrets(t *testing.T) {
	t.Parallel()
	const canary = "canary-7f3a"
	config := json.RawMessage(`{"apiKey":"` + canary + `"}`)
	call := connectors.Call{
		Scope: "organization", Identity: "acme", Connector: "demo", RequestID: "r1", Attempt: 2, Config: config,
		Context: struct{ Key string }{canary}, BaseURL: "https://example.com/bot" + canary, IdempotencyKey: canary,
		Secrets: []connectors.Secret{newSecret(t, canary)},
	}
	failure := connectors.Error{Code: connectors.CodeConnectorActionFailed, Message: "it failed", Cause: errors.New(canary)}
	connector := connectors.Connector{
		Key: "demo", Config: schema.For[keyConfig](), DefaultConfig: config,
		BaseURL: "https://example.com/bot${config.apiKey}",
		Auth:    connectors.Auth{Kind: connectors.AuthAPIKey, Headers: map[string]string{"X-Key": "${config.apiKey}"}, Query: map[string]string{"key": "${config.apiKey}"}},
	}
	runtime, err := connector.Resolve(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{call, &call, failure, &failure, connector, &connector, runtime, &runtime, []any{call, failure, runtime}, map[string]any{"c": &call}} {
		mustNotShow(t, canary, v)
	}
	if got := fmt.Sprint(call); !strings.Contains(got, "organization/acme/demo") || !strings.Contains(got, "r1") {
		t.Errorf("a call prints as %q, want its ids", got)
	}
	if got := fmt.Sprint(runtime); !strings.Contains(got, "https://example.com headers=[X-Key] query=[key]") {
		t.Errorf("a runtime prints as %q, want its host and the names", got)
	}
	if got := fmt.Sprint(&failure); got != "CONNECTOR_ACTION_FAILED: it failed" {
		t.Errorf("an error prints as %q", got)
	}
}

type keyConfig struct {
	APIKey  connectors.Secret `json:"apiKey"`
	Channel string            `json:"channel,omitempty" jsonschema:"default=general"`
	Limit   int8              `json:"limit,omitempty"`
}

func newSecret(t testing.TB, text string) (s connectors.Secret) {
	t.Helper()
	if err := s.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConfigAsReadsTheConfig(t *testing.T) {
	t.Parallel()
	got, err := connectors.ConfigAs[keyConfig](&connectors.Call{Config: json.RawMessage(`{"apiKey":"k","channel":"c","more":1}`)})
	if err != nil || got.APIKey.Reveal() != "k" || got.Channel != "c" {
		t.Errorf("ConfigAs = %+v, %v", got, err)
	}
	if got, err := connectors.ConfigAs[keyConfig](&connectors.Call{}); err != nil || got != (keyConfig{}) {
		t.Errorf("without a config: %+v, %v; want the zero value", got, err)
	}
	for _, config := range []string{`{"limit":73731}`, `{"apiKey":{"x":"73731"}}`, `{"apiKey":"73731`, `{"channel":73731}`} {
		_, err := connectors.ConfigAs[keyConfig](&connectors.Call{Connector: "demo", Config: json.RawMessage(config)})
		if !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorConfigInvalid}) {
			t.Fatalf("ConfigAs(%s) = %v, want CONNECTOR_CONFIG_INVALID", config, err)
		}
		mustNotShow(t, "73731", err)
	}
}
