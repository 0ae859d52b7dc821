package demo

import (
	"context"
	"net/http"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// KeyConnector is the key of the connector that is connected with an API key.
const KeyConnector = "demo-key"

// Connectors returns demo-key and demo-oauth for the provider at providerURL.
func Connectors(providerURL string) []connectors.Connector {
	providerURL = strings.TrimSuffix(providerURL, "/")
	return []connectors.Connector{keyConnector(providerURL), oauthConnector(providerURL)}
}

// account is the answer of GET /api/me.
type account struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

// request posts in as JSON, or sends a GET if in is nil.
func request[Out any](ctx context.Context, call *connectors.Call, path string, in any) (Out, error) {
	return connectors.JSON[Out](ctx, call, connectors.JSONRequest{Path: path, Body: in})
}

// idempotencyKey is the header with the call's key, none if it has none.
func idempotencyKey(call *connectors.Call) http.Header {
	if call.IdempotencyKey == "" {
		return nil
	}
	return http.Header{"Idempotency-Key": {portable(call.IdempotencyKey)}}
}

// portable returns id, or its fingerprint if the provider could not take it as it is.
func portable(id string) string {
	if isHeaderText(id) && strings.TrimSpace(id) == id {
		return id
	}
	return fingerprint(id)
}
