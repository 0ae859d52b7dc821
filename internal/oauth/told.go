package oauth

import (
	"encoding/json"
	"net/url"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// told is the config with what the redirect's query says, before anything is asked of
// an address that may be made of it. A browser could say anything, so the schema is
// asked at once.
func told(def *connectors.Connector, config json.RawMessage, query url.Values) (json.RawMessage, error) {
	if !def.Auth.OAuth2.QueryFillsConfig() {
		return config, nil
	}
	filled, err := fill(def, config, func(from, name string) (any, bool) { return query.Get(name), from == "query" })
	if err != nil {
		return nil, err
	}
	normal, wrong := def.Config.Validate(filled)
	if len(wrong) > 0 {
		e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "what the provider's redirect says does not fit the config of %s", def.Key)
		e.Errors = wrong
		return nil, e
	}
	return normal, nil
}
