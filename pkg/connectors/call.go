package connectors

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// Call is the request that a handler serves. It contains the config in the clear, so it
// prints (fmt, slog, JSON) as its ids only.
type Call struct {
	Scope, Identity string // the tenant
	Connector       string // key
	Account         string
	ConnectionID    string
	Action          string // key; "" in Validate
	RequestID       string
	Attempt         int // from 1
	// IdempotencyKey is the same for every attempt of one request. Send it to the
	// provider if it accepts one.
	IdempotencyKey string
	// Config is the connection's config, opened: secrets are in the clear. Read it
	// with [ConfigAs]; never log it.
	Config json.RawMessage
	// Context is what Connector.Context made for this call.
	Context any
	// BaseURL is the provider's, resolved, without a slash at the end. It may contain
	// a credential (some providers require it in the path).
	BaseURL string
	// HTTP adds the connection's credentials to requests, to BaseURL's host only.
	HTTP *http.Client
	// RateLimit is the connector's; see [Call.ResponseError].
	RateLimit *RateLimit
	// Companions opens the connection's further tokens, if there are any; see [Call.WithCompanion].
	Companions *Companions
	// Secrets are values that no message may contain: [Action.Run] removes them from
	// errors.
	Secrets []Secret
	// Learned are fields of the config that Validate has found out, by their names. They are
	// stored with the connection.
	Learned map[string]json.RawMessage
}

// ids are the parts of a Call that may be shown.
type ids struct {
	Scope        string `json:"scope,omitempty"`
	Identity     string `json:"identity,omitempty"`
	Connector    string `json:"connector,omitempty"`
	Account      string `json:"account,omitempty"`
	ConnectionID string `json:"connection_id,omitempty"`
	Action       string `json:"action,omitempty"`
	RequestID    string `json:"request_id,omitempty"`
	Attempt      int    `json:"attempt,omitempty"`
}

func (c Call) ids() ids {
	return ids{c.Scope, c.Identity, c.Connector, c.Account, c.ConnectionID, c.Action, c.RequestID, c.Attempt}
}

// String shows the ids.
func (c Call) String() string {
	return fmt.Sprintf("%s/%s/%s/%s connection=%s action=%s request=%s attempt=%d",
		c.Scope, c.Identity, c.Connector, c.Account, c.ConnectionID, c.Action, c.RequestID, c.Attempt)
}

// Format covers every verb of fmt.
func (c Call) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// LogValue covers log/slog.
func (c Call) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("scope", c.Scope), slog.String("identity", c.Identity),
		slog.String("connector", c.Connector), slog.String("account", c.Account),
		slog.String("connection_id", c.ConnectionID), slog.String("action", c.Action),
		slog.String("request_id", c.RequestID), slog.Int("attempt", c.Attempt))
}

// MarshalJSON writes the ids.
func (c Call) MarshalJSON() ([]byte, error) { return json.Marshal(c.ids()) }

// ConfigAs decodes the call's config into T. Members that T does not have are
// ignored. It fails with CONNECTOR_CONFIG_INVALID; the error names the field but not its
// value.
func ConfigAs[T any](c *Call) (T, error) {
	var config T
	if len(c.Config) == 0 {
		return config, nil
	}
	err := json.Unmarshal(c.Config, &config)
	if err == nil {
		return config, nil
	}
	e := Errorf(CodeConnectorConfigInvalid, "the config of %s does not fit %T", c.Connector, config)
	// The decoder's own message can quote the value, so it is not used.
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		e.Errors = []schema.FieldError{{Path: wrong.Field, Message: "must be of type " + wrong.Type.String()}}
	}
	var zero T
	return zero, e
}
