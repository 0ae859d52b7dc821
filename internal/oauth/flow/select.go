package flow

import (
	"context"
	"encoding/json"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// Sites finishes connections that wait for the choice of a site.
type Sites struct{ connections *connection.Service }

// Select finishes a connection with the chosen site.
func (s *Sites) Select(ctx context.Context, r records.Ref, resourceID string) (*connection.View, error) {
	def, err := s.connections.Connector(r.Connector)
	if err != nil {
		return nil, err
	}
	if def.Auth.OAuth2 == nil {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s is not connected by OAuth", r.Connector)
	}
	return s.connections.Select(ctx, r, resourceID, func(config json.RawMessage, chosen records.Resource) (json.RawMessage, error) {
		return fill(def, config, func(from, name string) (any, bool) {
			return resourceField(&chosen, name), from == "resource"
		})
	})
}
