package records

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// ByProviderAccount returns the connections of a provider's account, whatever their state; none is no error.
func (s *Connections) ByProviderAccount(ctx context.Context, connector, account string) ([]*Connection, error) {
	keys, err := s.routes.cache.get(ctx, routeKey(connector, account))
	if errors.Is(err, kvstore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, DatabaseError("look up the provider's account", err)
	}
	var all []*Connection
	for _, key := range keys {
		c, err := s.cache.get(ctx, key)
		if errors.Is(err, kvstore.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, DatabaseError("read the connection", err)
		}
		if c.Connector == connector && c.ProviderAccount == account {
			all = append(all, c)
		}
	}
	return all, nil
}

// routeIndex leads from a provider's account to the keys of its connections: one entry per connector and
// account. The record decides whose it is, so an entry may name too many and never too few.
type routeIndex struct {
	bucket kvstore.Store
	cache  *cache[[]string]
}

func newRouteIndex(bucket kvstore.Store) *routeIndex {
	return &routeIndex{bucket, newCache(bucket, func(e kvstore.Entry) (keys []string, err error) {
		return keys, json.Unmarshal(e.Value, &keys)
	})}
}

func routeKey(connector, account string) string {
	return events.Token(connector) + "." + events.Token(account)
}

// maxRoutes bounds the connections of one provider account.
const maxRoutes = 1000

// add adds a connection to an account.
func (x *routeIndex) add(ctx context.Context, c *Connection, account string) error {
	return x.change(ctx, c, account, func(others []string) ([]string, error) {
		if len(others) >= maxRoutes {
			return nil, connectors.Errorf(connectors.CodeConnectorConfigInvalid, "%d connections share this account of the provider, and more cannot be served", maxRoutes)
		}
		return append(others, c.Ref().Key()), nil
	})
}

// remove removes a connection from an account, unless that is "". An entry that remains matches no record, so
// a failure is ignored.
func (x *routeIndex) remove(ctx context.Context, c *Connection, account string) {
	if account == "" {
		return
	}
	ctx, cancel := cleanup(ctx)
	defer cancel()
	_ = x.change(ctx, c, account, func(others []string) ([]string, error) { return others, nil })
}

// change replaces the keys of an account by what alter returns for all of them but c's.
func (x *routeIndex) change(ctx context.Context, c *Connection, account string, alter func(others []string) ([]string, error)) error {
	key := c.Ref().Key()
	_, err := kvstore.Modify(ctx, x.bucket, routeKey(c.Connector, account), func(old []byte) ([]byte, error) {
		before := []string{}
		if old != nil {
			if err := json.Unmarshal(old, &before); err != nil {
				return nil, err
			}
		}
		after, err := alter(slices.DeleteFunc(slices.Clone(before), func(k string) bool { return k == key }))
		if err != nil {
			return nil, err
		}
		slices.Sort(after)
		if slices.Equal(before, after) {
			return nil, kvstore.ErrKeep
		}
		return json.Marshal(after)
	})
	if err != nil {
		return DatabaseError("store the route of the provider's account", err)
	}
	return nil
}
