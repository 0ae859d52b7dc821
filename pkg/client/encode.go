package client

import (
	"bytes"
	"encoding/json"

	jsonv2 "github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/secret"
)

// revealSecrets are the options of encoding/json, and the plaintext for [secret.Text].
var revealSecrets = jsonv2.JoinOptions(jsonv1.DefaultOptionsV1(),
	jsonv2.WithMarshalers(jsonv2.MarshalFunc(func(t secret.Text) ([]byte, error) { return json.Marshal(t.Reveal()) })))

// encode encodes v as encoding/json does, but with the plaintext of each [secret.Text]:
// Hawser needs it. Secrets inside types that marshal themselves stay redacted.
func encode(v any) (json.RawMessage, error) { return jsonv2.Marshal(v, revealSecrets) }

// encodeConfig is encode for a config. It refuses a config with a redacted secret, which
// would be stored and fail at the provider.
func encodeConfig(v any) (json.RawMessage, error) {
	doc, err := encode(v)
	e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the config cannot be sent")
	if err != nil {
		// The encoder's error may quote a value.
		e.Errors = []schema.FieldError{{Path: "config", Message: "cannot be encoded as JSON"}}
		return nil, e
	}
	if bytes.Contains(doc, []byte(`"`+secret.Redacted+`"`)) {
		e.Errors = []schema.FieldError{{Path: "config", Message: "contains [redacted] instead of a secret"}}
		return nil, e
	}
	return doc, nil
}
