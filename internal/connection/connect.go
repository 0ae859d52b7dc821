package connection

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

// ConnectInput is the input of [Service.Connect].
type ConnectInput struct {
	Config  json.RawMessage
	Tags    map[string]string
	Replace bool // an existing connection keeps its id, creation time and webhook URL
}

// Connect checks the config, with the provider where the connector asks for it, and stores the connection.
// CONNECTOR_ALREADY_CONNECTED if there is one, unless it is to be replaced: then nothing of the old config
// stays, the connection is active whatever it was, and its tags stay if none are given.
func (s *Service) Connect(ctx context.Context, r records.Ref, in ConnectInput) (*View, error) {
	def, err := s.checkConnector(r)
	if err != nil {
		return nil, err
	}
	if def.Auth.OAuth2 != nil {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s is connected by OAuth, which this program does not offer", r.Connector)
	}
	config, err := s.validConfig(def, in.Config)
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	for range kvstore.Attempts(ctx) {
		old, err := s.existing(ctx, r)
		if err != nil {
			return nil, err
		}
		if old != nil && !in.Replace {
			return nil, alreadyConnected(r)
		}
		c := s.newConnection(r, def, in.Tags, old)
		v, err := s.save(ctx, &records.Draft{Record: c, Definition: def, Config: config})
		if in.Replace && errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorAlreadyConnected}) {
			continue // it was changed, created or deleted meanwhile
		}
		if err == nil {
			s.announce(ctx, events.ConnectorConnected, c, events.Data{})
		}
		return v, err
	}
	return nil, records.DatabaseError("replace the connection", records.ErrConflict)
}

// newConnection returns a connection that replaces old, if there is one.
func (s *Service) newConnection(r records.Ref, def *connectors.Connector, tags map[string]string, old *records.Connection) *records.Connection {
	c := records.NewConnection(r, def.Version, s.now())
	c.Tags = tags
	if old != nil {
		c.Replace(old)
	}
	return c
}

// existing returns the record, readable or not, or nil if there is none.
func (s *Service) existing(ctx context.Context, r records.Ref) (*records.Connection, error) {
	c, err := s.store.LatestOrUnreadable(ctx, r)
	if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorNotConnected}) {
		return nil, nil
	}
	return c, err
}

// save validates a draft with the provider, gives it a webhook URL if its connector has webhooks, and stores it.
// CONNECTOR_ALREADY_CONNECTED if another write was faster.
func (s *Service) save(ctx context.Context, d *records.Draft) (*View, error) {
	var url secret.Text
	if d.Definition.Webhook != nil {
		url = s.store.EnsureWebhookURL(d)
	}
	if account := providerAccount(d.Definition, d.Config); account != "" {
		d.Record.ProviderAccount = account
	}
	sealed, err := s.store.Seal(d)
	if err != nil {
		return nil, err
	}
	if err := s.validate(ctx, d.Definition, sealed.Text); err != nil {
		return nil, err
	}
	err = s.store.Write(ctx, sealed)
	if errors.Is(err, records.ErrExists) || errors.Is(err, records.ErrConflict) {
		return nil, alreadyConnected(d.Record.Ref())
	}
	if err != nil {
		return nil, err
	}
	return s.view(d.Record, url), nil
}

func alreadyConnected(r records.Ref) error {
	return connectors.Errorf(connectors.CodeConnectorAlreadyConnected,
		"%s %.64q is already connected to %s; replace it with ?replace=true, or name another account", r.Scope, r.Identity, r.Connector)
}

// validConfig checks a config against the connector's schema, and its webhook secret against the webhook, and
// returns it with defaults filled in.
func (s *Service) validConfig(def *connectors.Connector, config json.RawMessage) (json.RawMessage, error) {
	if len(config) == 0 {
		config = json.RawMessage(`{}`)
	}
	normalised, problems := def.Config.Validate(config)
	if len(problems) > 0 {
		e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the config does not match the schema of %s", def.Key)
		e.Errors = problems
		return nil, e
	}
	if err := s.checkWebhookSecret(def, normalised); err != nil {
		return nil, err
	}
	return normalised, nil
}

// checkWebhookSecret refuses a config whose webhook secret could not verify any delivery.
func (s *Service) checkWebhookSecret(def *connectors.Connector, config json.RawMessage) error {
	if s.checkSecret == nil || def.Webhook == nil || def.Webhook.SecretField == "" {
		return nil
	}
	text, ok := records.TextAt(config, def.Webhook.SecretField)
	if !ok {
		return nil
	}
	problem := s.checkSecret(&def.Webhook.Descriptor, secret.New(text))
	if problem == nil {
		return nil
	}
	return invalidConfig("the webhook secret of "+def.Key+" cannot be used", def.Webhook.SecretField, problem.Error())
}

// invalidConfig returns CONNECTOR_CONFIG_INVALID with one field error.
func invalidConfig(text, path, message string) error {
	e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "%s", text)
	e.Errors = []schema.FieldError{{Path: path, Message: message}}
	return e
}

// providerAccount returns the provider's account id in a config, where the connector says which field it is in;
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

const (
	maxTags     = 32
	maxTagBytes = 256
)

func checkTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return invalidConfig("the tags cannot be stored", "tags", "at most 32 tags are allowed")
	}
	for name, value := range tags {
		if name == "" || len(name)+len(value) > maxTagBytes {
			return invalidConfig("the tags cannot be stored", "tags", "each tag needs a name, and has at most 256 bytes with its value")
		}
	}
	return nil
}
