package connection

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Filter narrows a list. Filters apply before the page is cut.
type Filter struct {
	Enabled *bool
	Name    string // the connector's key or its display name
	Offset  int
	Limit   *int // nil: all
}

// List returns a tenant's connections in the order of their keys. Connections
// of connectors that are not registered are left out. One that cannot be read, or
// whose secrets cannot be opened, carries its error.
func (s *Service) List(ctx context.Context, t events.Tenant, f Filter) ([]*View, error) {
	matching, err := s.matching(ctx, t, f)
	if err != nil {
		return nil, err
	}
	matching = Page(matching, f.Offset, f.Limit)
	views := make([]*View, 0, len(matching))
	for _, c := range matching {
		views = append(views, s.views.view(c, secret.Text{}))
	}
	return views, nil
}

// Count returns how many connections List would return without a page.
func (s *Service) Count(ctx context.Context, t events.Tenant, f Filter) (int, error) {
	matching, err := s.matching(ctx, t, f)
	return len(matching), err
}

func (s *Service) matching(ctx context.Context, t events.Tenant, f Filter) ([]*records.Connection, error) {
	if err := s.names.scopes.Check(t); err != nil {
		return nil, err
	}
	if f.Offset < 0 || f.Limit != nil && *f.Limit < 0 {
		return nil, connectors.Errorf(connectors.CodeRequestInvalid, "limit and offset cannot be negative")
	}
	byKey := map[string]*records.Connection{}
	for c, err := range s.connections.List(ctx, t) {
		if errors.Is(err, records.ErrForeignKey) {
			s.events.onError(err)
			continue
		}
		if err != nil {
			return nil, err
		}
		key := c.Ref().Key()
		delete(byKey, key) // one that changes meanwhile comes twice
		if def, err := s.names.definitions.Get(c.Connector); err == nil && f.accepts(c, def) {
			byKey[key] = c
		}
	}
	matching := make([]*records.Connection, 0, len(byKey))
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		matching = append(matching, byKey[key])
	}
	return matching, nil
}

func (f Filter) accepts(c *records.Connection, def *connectors.Connector) bool {
	if f.Enabled != nil && (c.Unreadable() != nil || *f.Enabled != c.Enabled()) {
		return false
	}
	return f.Name == "" || f.Name == c.Connector || strings.EqualFold(f.Name, def.Metadata.Name)
}

// Page cuts a page out of a list. A negative offset or limit is 0.
func Page[T any](all []T, offset int, limit *int) []T {
	all = all[min(max(offset, 0), len(all)):]
	if limit != nil {
		all = all[:min(max(*limit, 0), len(all))]
	}
	return all
}
