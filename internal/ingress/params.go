package ingress

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// params is what an operation is asked with: the names of path, query and body,
// all in one object, as NATS callers send it.
type params struct {
	Scope     string            `json:"scope,omitempty"`
	Identity  string            `json:"identity,omitempty"`
	Connector string            `json:"connector,omitempty"`
	Account   string            `json:"account,omitempty"`
	Enabled   *bool             `json:"enabled,omitempty"`
	Name      string            `json:"name,omitempty"`
	Limit     *int              `json:"limit,omitempty" jsonschema:"minimum=0"`
	Offset    int               `json:"offset,omitempty" jsonschema:"minimum=0"`
	Count     string            `json:"count,omitempty"`
	Replace   bool              `json:"replace,omitempty"`
	Config    json.RawMessage   `json:"config,omitempty"`
	Tags      map[string]string `json:"tags,omitempty"`

	Scopes     []string `json:"scopes,omitempty"` // of OAuth
	ReturnURL  string   `json:"return_url,omitempty"`
	ResourceID string   `json:"resource_id,omitempty"`
	Connectors []string `json:"connectors,omitempty"`

	ClientID      string            `json:"client_id,omitempty"` // of an app
	ClientSecret  secret.Text       `json:"client_secret,omitzero"`
	ClientSecrets []secret.Text     `json:"client_secrets,omitempty"`
	ExtraParams   map[string]string `json:"extra_params,omitempty"`
}

// paramsSchema tells every misspelt name and wrong type at once.
var paramsSchema = connectors.SchemaFor[params]()

func (p params) tenant() events.Tenant {
	return events.Tenant{Scope: p.Scope, Identity: p.Identity}
}
func (p params) ref() connection.Ref {
	return connection.NewRef(p.tenant(), p.Connector, p.Account)
}
func (p params) filter() connection.Filter {
	return connection.Filter{Enabled: p.Enabled, Name: p.Name, Offset: p.Offset, Limit: p.Limit}
}

// maxRequestBody bounds the body of a management request.
const maxRequestBody = 1 << 20

func invalid(path, message string) *connectors.Error {
	e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the request is not valid")
	e.Errors = []connectors.FieldError{{Path: path, Message: message}}
	return e
}

func tooLarge(limit int64) *connectors.Error {
	return connectors.Errorf(connectors.CodeConnectorWebhookTooLarge, "the body is larger than %d bytes", limit)
}

// parseParams reads JSON as NATS callers send it. Unknown names are refused: a
// misspelt one would otherwise be ignored in silence.
func parseParams(data []byte, p *params) error {
	if len(data) == 0 {
		return nil
	}
	if _, problems := paramsSchema.Validate(data); len(problems) > 0 {
		e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the request is not valid")
		e.Errors = problems
		return e
	}
	if err := json.Unmarshal(data, p); err != nil {
		return invalid("", "must be a JSON object")
	}
	return nil
}

// requestParams collects the names of path, query and body. The path wins.
func requestParams(w http.ResponseWriter, r *http.Request) (params, error) {
	var p params
	body, err := readBody(w, r, maxRequestBody)
	if err != nil {
		return p, err
	}
	if err := parseParams(body, &p); err != nil {
		return p, err
	}
	if err := p.readQuery(r); err != nil {
		return p, err
	}
	if scope := r.PathValue("scope"); scope != "" {
		p.Scope, p.Identity = scope, identityOf(r)
	}
	if connector := r.PathValue("connector"); connector != "" {
		p.Connector = connector
	}
	return p, nil
}

func (p *params) readQuery(r *http.Request) error {
	q := r.URL.Query()
	if v := q.Get("account"); v != "" {
		p.Account = v
	}
	if v := q.Get("name"); v != "" {
		p.Name = v
	}
	if v := q.Get("count"); v != "" {
		p.Count = v
	}
	var err error
	if v := q.Get("enabled"); v != "" {
		var b bool
		if b, err = strconv.ParseBool(v); err != nil {
			return invalid("enabled", "must be true or false")
		}
		p.Enabled = &b
	}
	if v := q.Get("replace"); v != "" {
		if p.Replace, err = strconv.ParseBool(v); err != nil {
			return invalid("replace", "must be true or false")
		}
	}
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return invalid("limit", "must be a whole number, 0 or more")
		}
		p.Limit = &n
	}
	if v := q.Get("offset"); v != "" {
		if p.Offset, err = strconv.Atoi(v); err != nil || p.Offset < 0 {
			return invalid("offset", "must be a whole number, 0 or more")
		}
	}
	return nil
}

// readBody reads a body whole, or answers why not: CONNECTOR_WEBHOOK_TOO_LARGE
// beyond limit, never a truncated body.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	reader := http.MaxBytesReader(w, r.Body, limit)
	var body []byte
	var err error
	if n := r.ContentLength; n > 0 {
		body = make([]byte, n)
		_, err = io.ReadFull(reader, body)
	} else {
		body, err = io.ReadAll(reader)
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tooLarge(limit)
	}
	if err != nil {
		return nil, invalid("", "the body could not be read")
	}
	return body, nil
}
