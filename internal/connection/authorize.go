package connection

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Prepare makes the checks of connect for a connection whose credentials come
// from a flow: it returns the definition and the normalised config. With replace,
// an existing connection is no obstacle; it is returned, else nil.
func (s *Service) Prepare(ctx context.Context, r Ref, in ConnectInput) (*connectors.Connector, json.RawMessage, *Connection, error) {
	def, err := s.checkConnector(r)
	if err != nil {
		return nil, nil, nil, err
	}
	config := in.Config
	if len(config) == 0 {
		config = def.DefaultConfig
	}
	if config, err = validConfig(def, config); err != nil {
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
	return def, config, old, nil
}

// AuthorizeInput is what a finished flow gives a connection.
type AuthorizeInput struct {
	Config    json.RawMessage // nil: that of the existing connection
	Tags      map[string]string
	Grant     string
	Resource  *Resource
	Resources []Resource // two or more: the connection waits for the choice
	Replace   bool
}

// Authorize stores the connection that a flow has made. One that exists keeps
// its id, creation time and webhook URL. It returns the grant that the connection
// had before, if that was another. The caller announces; see [Service.Announce].
func (s *Service) Authorize(ctx context.Context, r Ref, in AuthorizeInput) (v *View, c *Connection, before string, err error) {
	def, err := s.checkConnector(r)
	if err != nil {
		return nil, nil, "", err
	}
	old, err := s.existing(ctx, r)
	if err != nil {
		return nil, nil, "", err
	}
	if old != nil && !in.Replace {
		return nil, nil, "", alreadyConnected(r)
	}
	now := s.now().UTC()
	c = &Connection{ID: events.NewID(), Scope: r.Scope, Identity: r.Identity, Connector: r.Connector, Account: r.Account,
		ConnectorVersion: def.Version, State: Pending, Tags: in.Tags, Grant: in.Grant, Resource: in.Resource,
		Resources: in.Resources, CreatedAt: now, UpdatedAt: now}
	if old != nil {
		c.ID, c.CreatedAt, c.Webhook, c.revision = old.ID, old.CreatedAt, old.Webhook, old.revision
		if c.Tags == nil {
			c.Tags = old.Tags
		}
		if old.Grant != in.Grant {
			before = old.Grant
		}
	}
	next := Active
	if len(in.Resources) > 1 {
		next = Selecting
	}
	if err := c.become(next); err != nil {
		return nil, nil, "", err
	}
	if in.Config, err = validConfig(def, in.Config); err != nil {
		return nil, nil, "", err
	}
	v, err = s.save(ctx, def, c, in.Config)
	return v, c, before, err
}

// CheckTenant refuses tenants that there cannot be.
func (s *Service) CheckTenant(t events.Tenant) error { return s.scopes.Check(t) }

// ConfigOf returns a stored connection's config in the clear.
func (s *Service) ConfigOf(c *Connection) (json.RawMessage, error) { return s.store.OpenConfig(c) }

// Latest reads a record from the leader. CONNECTOR_NOT_CONNECTED if there is none.
func (s *Service) Latest(ctx context.Context, r Ref) (*Connection, error) {
	if err := s.check(r); err != nil {
		return nil, err
	}
	return s.store.latest(ctx, r)
}

// LatestByKey reads a record by its key.
func (s *Service) LatestByKey(ctx context.Context, key string) (*Connection, error) {
	e, err := latest(ctx, s.store.buckets.Connections, key)
	if err != nil {
		return nil, s.store.readError(err, Ref{})
	}
	c, err := parseRecord(e.Value, e.Revision, e.Key)
	return c, s.store.readError(err, Ref{})
}

// Announce publishes a lifecycle event about a connection, after what it tells
// of is stored.
func (s *Service) Announce(ctx context.Context, kind events.Kind, c *Connection, data events.Data) {
	s.announce(ctx, kind, c, data)
}

// NeedsReauth marks a connection whose grant has died, once: nothing happens if
// it is marked, or has another grant by now. about gives the event its data.
func (s *Service) NeedsReauth(ctx context.Context, r Ref, grant string, about func(*Connection) events.Data) error {
	_, err := s.changeAnd(ctx, r, func(c *Connection) ([]events.Kind, error) {
		if c.Grant != grant || !c.State.CanBecome(NeedsReauth) || c.State == NeedsReauth {
			return nil, nil
		}
		return []events.Kind{events.OAuthNeedsReauth}, c.become(NeedsReauth)
	}, about)
	return err
}

// Revive makes a connection active whose grant has new tokens.
func (s *Service) Revive(ctx context.Context, r Ref, grant string) error {
	_, err := s.change(ctx, r, func(c *Connection) ([]events.Kind, error) {
		if c.Grant != grant || c.State != NeedsReauth {
			return nil, nil
		}
		return []events.Kind{events.ConnectorUpdated}, c.become(Active)
	})
	return err
}

// Select finishes a connection that waits for the choice of a site. metadata
// puts what the choice tells into the config.
func (s *Service) Select(ctx context.Context, r Ref, resourceID string, metadata func(config json.RawMessage, chosen Resource) (json.RawMessage, error)) (*View, error) {
	def, err := s.checkConnector(r)
	if err != nil {
		return nil, err
	}
	return s.change(ctx, r, func(c *Connection) ([]events.Kind, error) {
		if c.State != Selecting {
			return nil, connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the connection to %s does not wait for a choice (it is %s)", r.Connector, c.State)
		}
		at := slices.IndexFunc(c.Resources, func(x Resource) bool { return x.ID == resourceID })
		if at < 0 {
			e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "resource_id is none of the sites to choose from")
			e.Errors = []connectors.FieldError{{Path: "resource_id", Message: "is none of the sites to choose from"}}
			return nil, e
		}
		chosen := c.Resources[at]
		config, err := metadata(c.Config, chosen)
		if err != nil {
			return nil, err
		}
		if config, err = validConfig(def, config); err != nil {
			return nil, err
		}
		c.Config, c.Resource, c.Resources = config, &chosen, nil
		return []events.Kind{events.ConnectorConnected}, c.become(Active)
	})
}

// View shows a record.
func (s *Service) View(c *Connection) *View { return s.view(c, secret.Text{}) }

// addGrant shows what is known of the connection's grant.
func (s *Service) addGrant(ctx context.Context, v *View, c *Connection) {
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
}
