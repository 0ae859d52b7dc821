package connection

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Service offers the operations on connections. Every error has a code of [connectors.Error]. A change is stored
// first; then an event about it is published. Safe for concurrent use, in any number of processes.
type Service struct {
	connections *records.Connections
	names       checker
	configs     validator
	views       viewer
	events      announcer
	edits       editor
}

// ServiceOptions of a [Service].
type ServiceOptions struct {
	Role    string           // source of the events, default "ingress"
	BaseURL string           // public, with the base path
	Now     func() time.Time // default time.Now
	OnError func(error)      // receives events that could not be published, and keys that are no connection's
	Grants  *records.Grants  // shown with the connections that have one; optional
	// CheckSecret returns why a text cannot be a secret of the webhook; nil accepts every text.
	CheckSecret func(*webhooks.Descriptor, secret.Text) error
}

// NewService returns the service.
func NewService(connections *records.Connections, definitions *records.Definitions, scopes Scopes, bus *events.Bus, opts *ServiceOptions) *Service {
	var o ServiceOptions
	if opts != nil {
		o = *opts
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.OnError == nil {
		o.OnError = func(error) {}
	}
	s := &Service{
		connections: connections,
		names:       checker{scopes, definitions},
		configs:     validator{bus, o.CheckSecret},
		views:       viewer{connections, definitions, o.Grants, strings.TrimSuffix(o.BaseURL, "/"), o.Now},
		events:      announcer{bus, cmp.Or(o.Role, "ingress"), o.OnError},
	}
	s.edits = editor{connections, &s.names, &s.configs, &s.views, &s.events, o.Now}
	return s
}

// Get returns one connection with its status.
func (s *Service) Get(ctx context.Context, r records.Ref) (*View, error) {
	c, err := s.Latest(ctx, r)
	if err != nil {
		return nil, err
	}
	v := s.views.view(c, secret.Text{})
	s.views.addGrant(ctx, v, c)
	v.Status, err = s.connections.Status(ctx, r)
	return v, err
}

// Latest returns a record as the stream's leader has it. CONNECTOR_NOT_CONNECTED if there is none,
// CONNECTOR_NOT_FOUND if its connector is not registered either.
func (s *Service) Latest(ctx context.Context, r records.Ref) (*records.Connection, error) {
	if err := s.names.check(r); err != nil {
		return nil, err
	}
	c, err := s.connections.Latest(ctx, r)
	return c, s.names.absent(err, r)
}

// Announce publishes a lifecycle event about a change of the connection that is stored. A failure is reported
// to OnError.
func (s *Service) Announce(ctx context.Context, kind events.Kind, c *records.Connection, data events.Data) {
	s.events.announce(ctx, kind, c, data)
}

// Disconnect removes the connection with its webhook URLs and its status, also if its secrets cannot be opened
// or its connector is not registered, and returns what was removed. The caller removes the reference to its
// grant. If the process ends in between, the index entries that remain match nothing, and the event is missing.
func (s *Service) Disconnect(ctx context.Context, r records.Ref) (*records.Connection, error) {
	if err := s.names.check(r); err != nil {
		return nil, err
	}
	for range kvstore.Attempts(ctx) {
		c, err := s.connections.LatestOrUnreadable(ctx, r)
		if err == nil {
			err = s.connections.Delete(ctx, c)
		}
		if errors.Is(err, records.ErrConflict) {
			continue
		}
		if err != nil {
			return nil, s.names.absent(err, r)
		}
		s.events.announce(ctx, events.ConnectorDisconnected, c, events.Data{})
		return c, nil
	}
	return nil, records.DatabaseError("disconnect", records.ErrConflict)
}

// CheckTenant refuses tenants that there cannot be.
func (s *Service) CheckTenant(t events.Tenant) error { return s.names.scopes.Check(t) }

// ConfigOf returns a stored connection's config in the clear.
func (s *Service) ConfigOf(c *records.Connection) ([]byte, error) { return s.connections.OpenConfig(c) }

// LatestByKey reads a record by its key.
func (s *Service) LatestByKey(ctx context.Context, key string) (*records.Connection, error) {
	return s.connections.LatestByKey(ctx, key)
}

// Connector returns one entry of the catalogue, or CONNECTOR_NOT_FOUND.
func (s *Service) Connector(key string) (*connectors.Connector, error) {
	return s.names.definitions.Get(key)
}

// CountByConnector returns how many connections of all tenants a connector has.
func (s *Service) CountByConnector(ctx context.Context, connector string) (int, error) {
	return s.connections.Count(ctx, connector)
}

// Connectors returns the catalogue; name narrows it to one key or display name.
func (s *Service) Connectors(name string) []*connectors.Connector {
	return s.names.definitions.Named(name)
}
