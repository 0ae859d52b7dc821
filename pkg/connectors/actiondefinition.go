package connectors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// actionDefinitions is the JSON form of a connector's actions: an object of their
// definitions by their keys, in order.
type actionDefinitions []Action

// MarshalJSON writes the object.
func (all actionDefinitions) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := marshal(all[i].Key)
		if err != nil {
			return nil, err
		}
		definition, err := marshal(all[i].definition())
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(definition)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON parses the object. Unknown members of an action are an error.
func (all *actionDefinitions) UnmarshalJSON(doc []byte) error {
	dec := strictDecoder(doc)
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return fmt.Errorf("actions must be an object of actions by their keys")
	}
	*all = nil
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var d actionDefinition
		if err := dec.Decode(&d); err != nil {
			return fmt.Errorf("action %q: %w", key, err)
		}
		*all = append(*all, d.action(key.(string)))
	}
	return nil
}

// JSONSchema is the schema of the object.
func (actionDefinitions) JSONSchema() *jsonschema.Schema {
	r := jsonschema.Reflector{Anonymous: true, DoNotReference: true}
	return &jsonschema.Schema{
		Type:                 "object",
		PropertyNames:        &jsonschema.Schema{Pattern: actionKey.String()},
		AdditionalProperties: r.Reflect(actionDefinition{}),
	}
}

func (a *Action) definition() actionDefinition {
	return actionDefinition{
		Description: a.Description, Effect: a.Effect, Scopes: a.Scopes, Idempotent: a.Idempotent, IdempotencyKey: a.IdempotencyKey,
		Timeout: webhooks.Duration(a.Timeout), MaxAttempts: a.MaxAttempts, Input: a.Input, Request: a.Request, Generic: a.Generic, Paginate: a.Paginate,
		Errors: a.Errors, Output: a.OutputProgram, OutputSchema: a.Output,
	}
}

func (d *actionDefinition) action(key string) Action {
	return Action{
		Key: key, Description: d.Description, Effect: d.Effect, Scopes: d.Scopes, IdempotencyKey: d.IdempotencyKey,
		Idempotent: d.Idempotent || d.Effect == EffectRead || d.IdempotencyKey != nil,
		Timeout:    time.Duration(d.Timeout), MaxAttempts: d.MaxAttempts, Input: d.Input, Request: d.Request, Generic: d.Generic, Paginate: d.Paginate,
		Errors: d.Errors, OutputProgram: d.Output, Output: d.OutputSchema,
	}
}

// strictDecoder refuses unknown members and keeps the digits of numbers.
func strictDecoder(doc []byte) *json.Decoder {
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	return dec
}

// marshal is json.Marshal that leaves <, > and & as they are.
func marshal(value any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
