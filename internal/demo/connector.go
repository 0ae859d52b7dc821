package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// maxReply is far above every answer of the provider.
const maxReply = 1 << 20

// request posts in as JSON, or sends a GET if in is nil, and decodes a 2xx response.
// Any other response is a *connectors.ProviderError.
func request[Out any](ctx context.Context, call *connectors.Call, path string, in any, header http.Header) (Out, error) {
	var out Out
	var body io.Reader
	method := http.MethodGet
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return out, fmt.Errorf("encode request: %w", err)
		}
		body, method = bytes.NewReader(encoded), http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, call.BaseURL+path, body)
	if err != nil {
		return out, errors.New("the base URL is not a URL")
	}
	for name, values := range header {
		req.Header[name] = values
	}
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := call.HTTP.Do(req)
	if err != nil {
		return out, err
	}
	defer func() { _ = res.Body.Close() }()
	reply, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil {
		return out, err
	}
	if res.StatusCode/100 != 2 {
		return out, providerError(call, res, reply)
	}
	if err := json.Unmarshal(reply, &out); err != nil {
		return out, errors.New("the response of the provider is not JSON")
	}
	return out, nil
}

func providerError(call *connectors.Call, res *http.Response, reply []byte) *connectors.ProviderError {
	var said struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	_ = json.Unmarshal(reply, &said) // the status alone will do
	refused := call.ResponseError(res, reply)
	refused.Message = said.Error.Message
	return refused
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
