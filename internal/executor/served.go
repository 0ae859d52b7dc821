package executor

import (
	"context"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// served are the connectors that this executor runs: those whose code it has, and every
// definition that needs no code.
type served struct {
	registry    *connectors.Registry
	definitions *records.Definitions
	connections *records.Connections
}

func (s served) get(key string) (*connectors.Connector, bool) {
	if c, ok := s.registry.Get(key); ok {
		return c, true
	}
	c, err := s.definitions.Get(key)
	return c, err == nil && c.Declarative()
}

// version returns the definition that a connection was made with, if it is stored, else c.
func (s served) version(c *connectors.Connector, version string) *connectors.Connector {
	if version == c.Version || !c.Declarative() {
		return c
	}
	if older, err := s.definitions.Version(c.Key, version); err == nil && older.Declarative() {
		return older
	}
	return c
}

// used reports whether there may be work for a connector: a definition that has no
// connection, and does not work without one, needs no consumers.
func (s served) used(ctx context.Context, c *connectors.Connector) (bool, error) {
	if _, code := s.registry.Get(c.Key); code || c.DefaultConfig != nil {
		return true, nil
	}
	return s.connections.Used.Has(ctx, c.Key)
}

func (s served) all() []*connectors.Connector {
	all := s.registry.All()
	for _, c := range s.definitions.All() {
		if _, code := s.registry.Get(c.Key); !code && c.Declarative() {
			all = append(all, c)
		}
	}
	return all
}
