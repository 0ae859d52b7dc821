package connection

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
)

// Prepare makes the checks of connect for a connection whose credentials come
// from a flow: it returns the definition and the normalised config. With replace,
// an existing connection is no obstacle; it is returned if it can be read, else nil.
func (s *Service) Prepare(ctx context.Context, r records.Ref, in ConnectInput) (*connectors.Connector, json.RawMessage, *records.Connection, error) {
	def, err := s.names.connector(r)
	if err != nil {
		return nil, nil, nil, err
	}
	config := in.Config
	if len(config) == 0 {
		config = def.DefaultConfig
	}
	if config, err = s.configs.checkSchema(def, config); err != nil {
		return nil, nil, nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, nil, nil, err
	}
	old, err := s.edits.existing(ctx, r)
	if err != nil {
		return nil, nil, nil, err
	}
	if old != nil && !in.Replace {
		return nil, nil, nil, alreadyConnected(r)
	}
	if old != nil && old.Unreadable() != nil {
		old = nil // nothing of it can be kept
	}
	return def, config, old, nil
}

// AuthorizeInput is what a finished flow gives a connection.
type AuthorizeInput struct {
	Config         json.RawMessage // nil: that of the existing connection
	Tags           map[string]string
	Grant          string
	GrantReference string // by which the connection will have the grants
	// Companions are the grants of the connector's companions, by name.
	Companions map[string]string
	Resource   *records.Resource
	Resources  []records.Resource // two or more: the connection waits for the choice
	Replace    bool
	// Reconnect is the id of the connection that a reconnect link renews, "" of none: if
	// its owner has switched it off it stays so.
	Reconnect string
}

// Authorize stores the connection that a flow has made. One that exists keeps
// its id, creation time and webhook URL. It returns the record that this one has taken
// the place of, nil if there was none: its hold is to be let go. The caller announces;
// see [Service.Announce]. After an error that is [records.ErrUnavailable] the record may be
// stored, or be stored yet.
func (s *Service) Authorize(ctx context.Context, r records.Ref, in AuthorizeInput) (v *View, c, before *records.Connection, err error) {
	def, err := s.names.connector(r)
	if err != nil {
		return nil, nil, nil, err
	}
	if in.Config, err = s.configs.checkSchema(def, in.Config); err != nil {
		return nil, nil, nil, err
	}
	stored, err := s.edits.create(ctx, r, in.Replace, func(old *records.Connection) (*records.Draft, error) {
		d := s.edits.draft(r, def, in.Config, old)
		return d, authorise(d.Record, in, old)
	})
	if err != nil {
		return nil, nil, nil, err
	}
	if before = stored.replaced; before != nil && before.GrantReference == in.GrantReference {
		before = nil // it is this connection, of a write whose ack was lost
	}
	return stored.view, stored.record, before, nil
}

// authorise sets what the flow has made of a record, which replaces old, if there is one.
func authorise(c *records.Connection, in AuthorizeInput, old *records.Connection) error {
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

// NeedsReauth marks a connection whose grant has died, once: nothing happens if
// it is marked, or has another grant by now. One that its owner has disabled stays
// so, and is marked for when it is enabled. about gives the event its data.
func (s *Service) NeedsReauth(ctx context.Context, r records.Ref, grant string, about func(*records.Connection) events.Data) error {
	_, err := s.edits.change(ctx, r, about, func(d *edit) ([]events.Kind, error) {
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

// Reactivate makes a connection active whose grant has new tokens; one that its owner
// has disabled will be when it is enabled.
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

// Select finishes a connection that waits for the choice of a site. metadata
// puts what the choice tells into the config.
func (s *Service) Select(ctx context.Context, r records.Ref, resourceID string, metadata func(config json.RawMessage, chosen records.Resource) (json.RawMessage, error)) (*View, error) {
	def, err := s.names.connector(r)
	if err != nil {
		return nil, err
	}
	return s.edits.change(ctx, r, noData, func(d *edit) ([]events.Kind, error) {
		c := d.Record
		if c.State != records.Selecting {
			return nil, connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the connection to %s does not wait for a choice (it is %s)", r.Connector, c.State)
		}
		at := slices.IndexFunc(c.Resources, func(x records.Resource) bool { return x.ID == resourceID })
		if at < 0 {
			e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "resource_id is none of the sites to choose from")
			e.Errors = []schema.FieldError{{Path: "resource_id", Message: "is none of the sites to choose from"}}
			return nil, e
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
