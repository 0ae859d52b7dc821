package connection

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Prepared is the result of the checks before an authorisation.
type Prepared struct {
	Connector *connectors.Connector
	Config    json.RawMessage     // with defaults filled in
	Existing  *records.Connection // that will be replaced; nil if there is none that can be read
}

// Prepare makes the checks of [Service.Connect] for a connection that an authorisation will make.
// CONNECTOR_ALREADY_CONNECTED if there is one, unless it is to be replaced.
func (s *Service) Prepare(ctx context.Context, r records.Ref, in ConnectInput) (*Prepared, error) {
	def, err := s.names.connector(r)
	if err != nil {
		return nil, err
	}
	config := in.Config
	if len(config) == 0 {
		config = def.DefaultConfig
	}
	if config, err = s.configs.checkSchema(def, config); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	old, err := s.edits.existing(ctx, r)
	if err != nil {
		return nil, err
	}
	if old != nil && !in.Replace {
		return nil, alreadyConnected(r)
	}
	if old != nil && old.Unreadable() != nil {
		old = nil
	}
	return &Prepared{def, config, old}, nil
}

// AuthorizeInput is what a finished authorisation says about its connection.
type AuthorizeInput struct {
	Config         json.RawMessage
	Tags           map[string]string // nil: those of the connection that is replaced
	Grant          string            // key
	GrantReference string            // id of the connection's reference to its grants
	Companions     map[string]string // keys of the companions' grants, by the companion's name
	Resource       *records.Resource
	Resources      []records.Resource // two or more: the user has to select one
	Replace        bool
	// Reconnect is the id of the connection that a reconnect link renews, "" without such a link. If that
	// connection is disabled it stays so.
	Reconnect string
}

// Authorized is a connection that [Service.Authorize] has stored.
type Authorized struct {
	View   *View
	Record *records.Connection
	// Replaced is the record that was there before; nil if there was none. The caller removes its reference
	// to its grant.
	Replaced *records.Connection
}

// Authorize stores the connection of a finished authorisation. One that exists keeps its id, creation time and
// webhook URL. The caller publishes the events, see [Service.Announce]. After an error that is
// [records.ErrUnavailable] the record may be stored, or may be stored later.
func (s *Service) Authorize(ctx context.Context, r records.Ref, in AuthorizeInput) (*Authorized, error) {
	def, err := s.names.connector(r)
	if err != nil {
		return nil, err
	}
	if in.Config, err = s.configs.checkSchema(def, in.Config); err != nil {
		return nil, err
	}
	stored, err := s.edits.create(ctx, r, in.Replace, func(old *records.Connection) (*records.Draft, error) {
		d := s.edits.draft(r, def, in.Config, old)
		return d, in.apply(d.Record, old)
	})
	if err != nil {
		return nil, err
	}
	if old := stored.Replaced; old != nil && old.GrantReference == in.GrantReference {
		stored.Replaced = nil // it is this connection: an earlier write was stored and its answer lost
	}
	return stored, nil
}

// apply changes a new record, which replaces old if there is one.
func (in *AuthorizeInput) apply(c, old *records.Connection) error {
	if in.Tags != nil {
		c.Tags = in.Tags
	}
	c.State, c.Grant, c.GrantReference, c.Companions = records.Pending, in.Grant, in.GrantReference, in.Companions
	c.Resource, c.Resources = in.Resource, in.Resources
	if len(in.Resources) > 1 {
		return c.Become(records.Selecting)
	}
	if err := c.Become(records.Active); err != nil {
		return err
	}
	if in.Reconnect != "" && old != nil && old.ID == in.Reconnect && old.State == records.Disabled {
		return c.Become(records.Disabled)
	}
	return nil
}

// MarkNeedsReauth marks a connection whose grant was revoked. Nothing happens if it is marked already, or has
// another grant. A disabled connection stays disabled, and needs the authorisation once it is enabled. data returns
// the data of the event.
func (s *Service) MarkNeedsReauth(ctx context.Context, r records.Ref, grant string, data func(*records.Connection) events.Data) error {
	_, err := s.edits.change(ctx, r, data, func(d *edit) ([]events.Kind, error) {
		marked := d.Record.State == records.NeedsReauth || d.Record.Resumes == records.NeedsReauth
		if d.Record.Grant != grant || marked || !d.Record.State.CanBecome(records.NeedsReauth) {
			return nil, nil
		}
		kinds := []events.Kind{events.OAuthNeedsReauth}
		if d.Record.State == records.Disabled {
			d.Record.Resumes = records.NeedsReauth
			return kinds, nil
		}
		return kinds, d.Record.Become(records.NeedsReauth)
	})
	return err
}

// Reactivate makes a connection active whose grant has tokens again. A disabled connection stays disabled, and is
// active once it is enabled. Nothing happens if the connection has another grant.
func (s *Service) Reactivate(ctx context.Context, r records.Ref, grant string) error {
	_, err := s.edits.change(ctx, r, noData, func(d *edit) ([]events.Kind, error) {
		kinds := []events.Kind{events.ConnectorUpdated}
		switch {
		case d.Record.Grant != grant:
			return nil, nil
		case d.Record.Resumes == records.NeedsReauth:
			d.Record.Resumes = ""
			return kinds, nil
		case d.Record.State == records.NeedsReauth:
			return kinds, d.Record.Become(records.Active)
		}
		return nil, nil
	})
	return err
}

// Select finishes a connection in state selecting. metadata returns the config with what is known of the chosen
// resource.
func (s *Service) Select(ctx context.Context, r records.Ref, resourceID string, metadata func(config json.RawMessage, chosen records.Resource) (json.RawMessage, error)) (*View, error) {
	def, err := s.names.connector(r)
	if err != nil {
		return nil, err
	}
	return s.edits.change(ctx, r, noData, func(d *edit) ([]events.Kind, error) {
		c := d.Record
		if c.State != records.Selecting {
			return nil, connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the connection to %s does not need a selection (it is %s)", r.Connector, c.State)
		}
		at := slices.IndexFunc(c.Resources, func(x records.Resource) bool { return x.ID == resourceID })
		if at < 0 {
			return nil, invalidConfig("resource_id is not one of the sites to select from", "resource_id", "is not one of the sites to select from")
		}
		chosen := c.Resources[at]
		config, err := s.connections.OpenConfig(c)
		if err != nil {
			return nil, err
		}
		if config, err = metadata(config, chosen); err != nil {
			return nil, err
		}
		if config, err = s.configs.checkSchema(def, config); err != nil {
			return nil, err
		}
		d.Definition, d.Config, c.ConnectorVersion = def, config, def.Version
		if account := providerAccount(def, config); account != "" {
			c.ProviderAccount = account
		}
		c.Resource, c.Resources = &chosen, nil
		return []events.Kind{events.ConnectorConnected}, c.Become(records.Active)
	})
}
