package flow

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// withCallbackParams returns the config with the callback parameters that the definition
// names, where an address may be made of them. A browser could send any text, so the
// result is validated at once.
func withCallbackParams(def *connectors.Connector, config json.RawMessage, query url.Values) (json.RawMessage, error) {
	if !def.Auth.OAuth2.QueryFillsConfig() {
		return config, nil
	}
	filled, err := fill(def, config, func(from, name string) (any, bool) { return query.Get(name), from == "query" })
	if err != nil {
		return nil, err
	}
	normal, wrong := def.Config.Validate(filled)
	if len(wrong) > 0 {
		e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "callback parameters do not match the config schema of %s", def.Key)
		e.Errors = wrong
		return nil, e
	}
	return normal, nil
}

// fill puts values into the config at the top-level fields that the definition's
// Metadata names.
func fill(def *connectors.Connector, config json.RawMessage, value func(from, name string) (v any, known bool)) (json.RawMessage, error) {
	if len(def.Auth.OAuth2.Metadata) == 0 {
		return config, nil
	}
	doc, err := members(config)
	if err != nil {
		return nil, err
	}
	for field, source := range def.Auth.OAuth2.Metadata {
		from, name, _ := strings.Cut(source, ".")
		v, known := value(from, name)
		if !known || v == nil || v == "" {
			continue
		}
		raw, err := json.Marshal(v)
		if err != nil {
			return nil, connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the metadata cannot be stored")
		}
		doc[field] = raw
	}
	return json.Marshal(doc)
}

// without returns the config without a top-level field.
func without(config json.RawMessage, field string) (json.RawMessage, error) {
	doc, err := members(config)
	if err != nil {
		return nil, err
	}
	delete(doc, field)
	return json.Marshal(doc)
}

func members(config json.RawMessage) (map[string]json.RawMessage, error) {
	doc := map[string]json.RawMessage{}
	if len(config) == 0 {
		return doc, nil
	}
	if err := json.Unmarshal(config, &doc); err != nil {
		return nil, connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the config is not an object")
	}
	return doc, nil
}

func userField(u *records.User, name string) any {
	if u == nil {
		return nil
	}
	return map[string]string{"id": u.ID, "name": u.Name, "email": u.Email, "avatar": u.Avatar}[name]
}

func resourceField(r *records.Resource, name string) any {
	if r == nil {
		return nil
	}
	return map[string]string{"id": r.ID, "name": r.Name, "url": r.URL}[name]
}
