package connection

import (
	"context"
	"encoding/json"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
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
	def, err := s.names.connector(r)
	if err != nil {
		return nil, err
	}
	if def.Auth.OAuth2 != nil {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s is connected by OAuth, which this program does not offer", r.Connector)
	}
	config, err := s.configs.checkSchema(def, in.Config)
	if err != nil {
		return nil, err
	}
	if def.AccountFromProvider() && !def.ProvesOwner() && providerAccount(def, config) != "" {
		return nil, invalidConfig("the config is not valid", "config."+def.Webhook.AccountField, "is set by the provider; leave it out")
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	stored, err := s.edits.create(ctx, r, in.Replace, func(old *records.Connection) (*records.Draft, error) {
		d := s.edits.draft(r, def, config, old)
		if in.Tags != nil {
			d.Record.Tags = in.Tags
		}
		return d, nil
	})
	if err != nil {
		return nil, err
	}
	s.events.announce(ctx, events.ConnectorConnected, stored.Record, events.Data{})
	return stored.View, nil
}
