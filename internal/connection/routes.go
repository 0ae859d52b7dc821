package connection

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// Routes lead from a provider's account to the connections that are of it: one
// entry per connector and account, a list of record keys. The record has the
// last word on whose it is, so a route may point to too much and never to too
// little: it is written before the record, and removed after it.

// maxRoutes bounds the connections of one provider account.
const maxRoutes = 1000

func routeKey(connector, providerAccount string) string {
	return events.Token(connector) + "." + events.Token(providerAccount)
}

func parseRoutes(e kvstore.Entry) ([]string, error) {
	var keys []string
	return keys, json.Unmarshal(e.Value, &keys)
}

// ByProviderAccount returns the connections of a provider's account, whatever
// their state; none is no error.
func (s *Connections) ByProviderAccount(ctx context.Context, connector, providerAccount string) ([]*Connection, error) {
	keys, err := s.routes.get(ctx, routeKey(connector, providerAccount))
	if errors.Is(err, kvstore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, databaseError("look up the provider's account", err)
	}
	var all []*Connection
	for _, key := range keys {
		c, err := s.records.get(ctx, key)
		if errors.Is(err, kvstore.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, databaseError("read the connection", err)
		}
		if c.Connector == connector && c.ProviderAccount == providerAccount {
			all = append(all, c)
		}
	}
	return all, nil
}

// addRoute makes a connection found by its provider's account, if it has one.
func (s *Connections) addRoute(ctx context.Context, c *Connection) error {
	if c.ProviderAccount == "" {
		return nil
	}
	return s.changeRoute(ctx, c, c.ProviderAccount, func(keys []string) ([]string, error) {
		if len(keys) >= maxRoutes {
			return nil, connectors.Errorf(connectors.CodeConnectorConfigInvalid, "%d connections share this account of the provider, and more cannot be served", maxRoutes)
		}
		return append(keys, c.Ref().Key()), nil
	})
}

// removeRoute takes a connection out of an account that it was of. What stays behind
// leads nowhere.
func (s *Connections) removeRoute(ctx context.Context, c *Connection, providerAccount string) {
	if providerAccount != "" {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		defer cancel()
		_ = s.changeRoute(ctx, c, providerAccount, func(keys []string) ([]string, error) { return keys, nil })
	}
}

// changeRoute hands the list without the connection to alter.
func (s *Connections) changeRoute(ctx context.Context, c *Connection, providerAccount string, alter func([]string) ([]string, error)) error {
	key := c.Ref().Key()
	_, err := kvstore.Modify(ctx, s.buckets.Routes, routeKey(c.Connector, providerAccount), func(old []byte) ([]byte, error) {
		var before []string
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
		if after == nil {
			after = []string{}
		}
		return json.Marshal(after)
	})
	if err != nil {
		return databaseError("store the route of the provider's account", err)
	}
	return nil
}

// providerAccount reads whose account a config is of, where the connector says
// in which field that stands.
func providerAccount(def *connectors.Connector, config json.RawMessage) string {
	if def.Webhook == nil || def.Webhook.AccountField == "" {
		return ""
	}
	value := config
	for name := range strings.SplitSeq(def.Webhook.AccountField, ".") {
		var object map[string]json.RawMessage
		if json.Unmarshal(value, &object) != nil {
			return ""
		}
		value = object[name]
	}
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	var number json.Number
	if json.Unmarshal(value, &number) == nil {
		return number.String()
	}
	return ""
}
