package connection

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// validator checks configs: by the connector's schema, by its webhook, and by its Validate.
type validator struct {
	bus                *events.Bus
	checkWebhookSecret func(*webhooks.Descriptor, secret.Text) error // nil accepts every text
}

// checkSchema checks a config against the connector's schema, and its webhook secret against the webhook.
// It returns the config with defaults filled in.
func (v *validator) checkSchema(def *connectors.Connector, config json.RawMessage) (json.RawMessage, error) {
	if len(config) == 0 {
		config = json.RawMessage(`{}`)
	}
	normalised, problems := def.Config.Validate(config)
	if len(problems) > 0 {
		e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the config does not match the schema of %s", def.Key)
		e.Errors = problems
		return nil, e
	}
	if v.checkWebhookSecret == nil || def.Webhook == nil || def.Webhook.SecretField == "" {
		return normalised, nil
	}
	if text, ok := records.TextAt(normalised, def.Webhook.SecretField); ok {
		if err := v.checkWebhookSecret(&def.Webhook.Descriptor, secret.New(text)); err != nil {
			return nil, invalidConfig("the webhook secret cannot verify deliveries of "+def.Key, def.Webhook.SecretField, err.Error())
		}
	}
	return normalised, nil
}

// validateTimeout bounds how long a provider may take to check a config.
const validateTimeout = 15 * time.Second

// askProvider lets an executor run the connector's Validate, if it has one, and returns the sealed record with the
// fields of the config that Validate has learned. Only executors run connectors. The request is the sealed record, as
// it would be stored, so that no secret is sent in the clear. A connection whose site is not selected yet is not
// asked about: its config is incomplete.
func (e *editor) askProvider(ctx context.Context, d *records.Draft, sealed *records.Sealed) (*records.Sealed, error) {
	if !d.Definition.HasValidate() || d.Record.State == records.Selecting {
		return sealed, nil
	}
	learned, err := e.configs.validate(ctx, d.Definition, sealed.Text)
	if err != nil || len(learned) == 0 {
		return sealed, err
	}
	config, err := withFields(d.Config, learned)
	if err != nil {
		return nil, err
	}
	if d.Config, err = e.configs.checkSchema(d.Definition, config); err != nil {
		return nil, err
	}
	if account := providerAccount(d.Definition, d.Config); account != "" {
		d.Record.ProviderAccount = account
	}
	return e.connections.Seal(d)
}

// withFields returns the config with the fields set.
func withFields(config json.RawMessage, fields map[string]json.RawMessage) (json.RawMessage, error) {
	all := map[string]json.RawMessage{}
	if len(config) > 0 {
		if err := json.Unmarshal(config, &all); err != nil {
			return nil, records.EncryptError(err)
		}
	}
	maps.Copy(all, fields)
	return json.Marshal(all)
}

// validate returns what Validate has learned, by the names of the config's fields.
func (v *validator) validate(ctx context.Context, def *connectors.Connector, sealed []byte) (map[string]json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, validateTimeout)
	defer cancel()
	header, reply, err := v.bus.Request(ctx, v.bus.Subjects.Validate(def.Key), sealed)
	if errors.Is(err, events.ErrNoResponders) {
		e := connectors.Errorf(connectors.CodeConnectorUnavailable, "no executor serves %s, so its config cannot be validated; start one", def.Key)
		e.Cause = err
		return nil, e
	}
	if err != nil {
		return nil, records.DatabaseError("let an executor validate the config", err)
	}
	if header.Get(events.HeaderErrorCode) == "" {
		var answer struct{ Config map[string]json.RawMessage }
		if err := json.Unmarshal(reply, &answer); err != nil {
			return nil, records.DatabaseError("read the executor's answer about the config", err)
		}
		return answer.Config, nil
	}
	var problem connectors.Error
	if err := json.Unmarshal(reply, &problem); err != nil {
		return nil, records.DatabaseError("read the executor's answer about the config", err)
	}
	return nil, &problem
}

// providerAccount returns the provider's account id in a config, where the connector says which field has it;
// "" if there is none.
func providerAccount(def *connectors.Connector, config json.RawMessage) string {
	if def.Webhook == nil || def.Webhook.AccountField == "" {
		return ""
	}
	value := records.FieldAt(config, def.Webhook.AccountField)
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	var number json.Number
	if json.Unmarshal(value, &number) == nil {
		return number.String()
	}
	return ""
}
