package connection

import (
	"context"
	"encoding/json"
	"errors"
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

// askProvider lets an executor run the connector's Validate, if it has one. Only executors have the code of
// connectors. The request is the sealed record, as it would be stored, so that no secret is sent in the clear.
func (v *validator) askProvider(ctx context.Context, def *connectors.Connector, sealed []byte) error {
	if !def.HasValidate() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, validateTimeout)
	defer cancel()
	header, reply, err := v.bus.Request(ctx, v.bus.Subjects.Validate(def.Key), sealed)
	if errors.Is(err, events.ErrNoResponders) {
		e := connectors.Errorf(connectors.CodeConnectorUnavailable, "no executor serves %s, so its config cannot be validated; start one", def.Key)
		e.Cause = err
		return e
	}
	if err != nil {
		return records.DatabaseError("let an executor validate the config", err)
	}
	if header.Get(events.HeaderErrorCode) == "" {
		return nil
	}
	var problem connectors.Error
	if err := json.Unmarshal(reply, &problem); err != nil {
		return records.DatabaseError("read the executor's answer about the config", err)
	}
	return &problem
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
