package connection

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
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
		views = append(views, s.view(c, secret.Text{}))
	}
	return views, nil
}

// Count returns how many connections List would return without a page.
func (s *Service) Count(ctx context.Context, t events.Tenant, f Filter) (int, error) {
	matching, err := s.matching(ctx, t, f)
	return len(matching), err
}

func (s *Service) matching(ctx context.Context, t events.Tenant, f Filter) ([]*Connection, error) {
	if err := s.scopes.Check(t); err != nil {
		return nil, err
	}
	if f.Offset < 0 || f.Limit != nil && *f.Limit < 0 {
		return nil, connectors.Errorf(connectors.CodeConnectorConfigInvalid, "limit and offset cannot be negative")
	}
	byKey := map[string]*Connection{}
	for entry, err := range s.store.buckets.Connections.List(ctx, t.Tokens()+".>") {
		if err != nil {
			return nil, databaseError("list the connections", err)
		}
		delete(byKey, entry.Key) // one that changes meanwhile comes twice
		c, err := listed(entry)
		if err != nil {
			s.onError(err)
			continue
		}
		if def, err := s.definitions.Get(c.Connector); err == nil && f.accepts(c, def) {
			byKey[entry.Key] = c
		}
	}
	matching := make([]*Connection, 0, len(byKey))
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		matching = append(matching, byKey[key])
	}
	return matching, nil
}

// listed reads an entry. Of one that cannot be read, the key tells whose it is; the
// error is of a key that is none of ours.
func listed(entry kvstore.Entry) (*Connection, error) {
	c, err := parseRecord(entry.Value, entry.Revision, entry.Key)
	if err == nil {
		return c, nil
	}
	r, malformed := ParseKey(entry.Key)
	if malformed != nil {
		return nil, fmt.Errorf("connection records: %w", malformed)
	}
	return faulty(r, entry.Revision, unreadable(err)), nil
}

func (f Filter) accepts(c *Connection, def *connectors.Connector) bool {
	if f.Enabled != nil && (c.fault != nil || *f.Enabled != c.Enabled()) {
		return false
	}
	return f.Name == "" || f.Name == c.Connector || strings.EqualFold(f.Name, def.Metadata.Name)
}

// countTimeout bounds a count of all tenants' connections, which after a mass change
// has to look at every one of them.
const countTimeout = 15 * time.Second

// CountByConnector returns how many connections of all tenants a connector has,
// without reading them.
func (s *Service) CountByConnector(ctx context.Context, connector string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	filter := "*.*." + events.Token(connector) + ".*"
	if counter, ok := s.store.buckets.Connections.(kvstore.Counter); ok {
		n, err := counter.Count(ctx, filter)
		if err != nil {
			return 0, databaseError("count the connections", err)
		}
		return n, nil
	}
	seen := map[string]struct{}{} // one that changes meanwhile comes twice
	for entry, err := range s.store.buckets.Connections.List(ctx, filter) {
		if err != nil {
			return 0, databaseError("count the connections", err)
		}
		seen[entry.Key] = struct{}{}
	}
	return len(seen), nil
}

// Connectors returns the catalogue; name narrows it to one key or display name.
func (s *Service) Connectors(name string) []*connectors.Connector {
	var out []*connectors.Connector
	for _, c := range s.definitions.All() {
		if name == "" || c.Key == name || strings.EqualFold(c.Metadata.Name, name) {
			out = append(out, c)
		}
	}
	return out
}

// Connector returns one entry of the catalogue, or CONNECTOR_NOT_FOUND.
func (s *Service) Connector(key string) (*connectors.Connector, error) { return s.definitions.Get(key) }

// Page cuts a page out of a list. A negative offset or limit is 0.
func Page[T any](all []T, offset int, limit *int) []T {
	all = all[min(max(offset, 0), len(all)):]
	if limit != nil {
		all = all[:min(max(*limit, 0), len(all))]
	}
	return all
}
