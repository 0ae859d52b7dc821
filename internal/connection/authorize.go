package connection

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// Prepare makes the checks of connect for a connection whose credentials come
// from a flow: it returns the definition and the normalised config. With replace,
// an existing connection is no obstacle; it is returned if it can be read, else nil.
func (s *Service) Prepare(ctx context.Context, r records.Ref, in ConnectInput) (*connectors.Connector, json.RawMessage, *records.Connection, error) {
	def, err := s.checkConnector(r)
	if err != nil {
		return nil, nil, nil, err
	}
	config := in.Config
	if len(config) == 0 {
		config = def.DefaultConfig
	}
	if config, err = s.validConfig(def, config); err != nil {
		return nil, nil, nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, nil, nil, err
	}
	old, err := s.existing(ctx, r)
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
	def, err := s.checkConnector(r)
	if err != nil {
		return nil, nil, nil, err
	}
	if in.Config, err = s.validConfig(def, in.Config); err != nil {
		return nil, nil, nil, err
	}
	for range kvstore.Attempts(ctx) {
		old, err := s.existing(ctx, r)
		if err != nil {
			return nil, nil, nil, err
		}
		if old != nil && !in.Replace {
			return nil, nil, nil, alreadyConnected(r)
		}
		c, err := s.authorised(r, def, in, old)
		if err != nil {
			return nil, nil, nil, err
		}
		v, err := s.save(ctx, &records.Draft{Record: c, Definition: def, Config: in.Config})
		if in.Replace && errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorAlreadyConnected}) {
			continue // it has changed, come or gone meanwhile
		}
		if old != nil && old.GrantReference == in.GrantReference {
			old = nil // it is ours, of a write whose ack was lost
		}
		return v, c, old, err
	}
	return nil, nil, nil, records.DatabaseError("store the connection", records.ErrConflict)
}

// authorised is the record of what a flow has made in the place of old, if there
// is one.
func (s *Service) authorised(r records.Ref, def *connectors.Connector, in AuthorizeInput, old *records.Connection) (*records.Connection, error) {
	c := s.newConnection(r, def, in.Tags, old)
	c.State, c.Grant, c.GrantReference, c.Companions = records.Pending, in.Grant, in.GrantReference, in.Companions
	c.Resource, c.Resources = in.Resource, in.Resources
	if len(in.Resources) > 1 {
		return c, c.Become(records.Selecting)
	}
	if err := c.Become(records.Active); err != nil {
		return nil, err
	}
	if in.Reconnect != "" && old != nil && old.ID == in.Reconnect && old.State == records.Disabled {
		return c, c.Become(records.Disabled)
	}
	return c, nil
}

// CheckTenant refuses tenants that there cannot be.
func (s *Service) CheckTenant(t events.Tenant) error { return s.scopes.Check(t) }

// ConfigOf returns a stored connection's config in the clear.
func (s *Service) ConfigOf(c *records.Connection) (json.RawMessage, error) {
	return s.store.OpenConfig(c)
}

// Latest reads a record from the leader. CONNECTOR_NOT_CONNECTED if there is none.
func (s *Service) Latest(ctx context.Context, r records.Ref) (*records.Connection, error) {
	if err := s.check(r); err != nil {
		return nil, err
	}
	c, err := s.store.Latest(ctx, r)
	if err != nil {
		return nil, s.absent(err, r)
	}
	return c, nil
}

// LatestByKey reads a record by its key.
func (s *Service) LatestByKey(ctx context.Context, key string) (*records.Connection, error) {
	r, err := records.ParseKey(key)
	if err != nil {
		return nil, records.DatabaseError("read the connection", err)
	}
	c, err := s.store.Latest(ctx, r)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Announce publishes a lifecycle event about a connection, after what it tells
// of is stored.
func (s *Service) Announce(ctx context.Context, kind events.Kind, c *records.Connection, data events.Data) {
	s.announce(ctx, kind, c, data)
}

// NeedsReauth marks a connection whose grant has died, once: nothing happens if
// it is marked, or has another grant by now. One that its owner has disabled stays
// so, and is marked for when it is enabled. about gives the event its data.
func (s *Service) NeedsReauth(ctx context.Context, r records.Ref, grant string, about func(*records.Connection) events.Data) error {
	_, err := s.changeWithData(ctx, r, func(d *edit) ([]events.Kind, error) {
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
	}, about)
	return err
}

// Reactivate makes a connection active whose grant has new tokens; one that its owner
// has disabled will be when it is enabled.
func (s *Service) Reactivate(ctx context.Context, r records.Ref, grant string) error {
	_, err := s.change(ctx, r, func(d *edit) ([]events.Kind, error) {
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
	def, err := s.checkConnector(r)
	if err != nil {
		return nil, err
	}
	return s.change(ctx, r, func(d *edit) ([]events.Kind, error) {
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
		config, err := s.store.OpenConfig(c)
		if err != nil {
			return nil, err
		}
		if config, err = metadata(config, chosen); err != nil {
			return nil, err
		}
		if config, err = s.validConfig(def, config); err != nil {
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

// addGrant shows what is known of the connection's grant.
func (s *Service) addGrant(ctx context.Context, v *View, c *records.Connection) {
	if c.Grant == "" || s.grants == nil {
		return
	}
	g, err := s.grants.Get(ctx, c.Grant)
	if err != nil {
		return
	}
	v.User, v.GrantedScopes = g.User, g.Granted
	if !g.ExpiresAt.IsZero() {
		v.ExpiresAt = &g.ExpiresAt
	}
	for name, key := range c.Companions {
		g, err := s.grants.Get(ctx, key)
		if err != nil {
			continue
		}
		shown := CompanionView{State: g.State, GrantedScopes: g.Granted}
		if !g.ExpiresAt.IsZero() {
			shown.ExpiresAt = &g.ExpiresAt
		}
		if v.Companions == nil {
			v.Companions = map[string]CompanionView{}
		}
		v.Companions[name] = shown
	}
}
