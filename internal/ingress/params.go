package ingress

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
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
	// SecretGrace is how long a webhook secret that is replaced still verifies.
	SecretGrace string `json:"secret_grace,omitempty"`

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
var paramsSchema = schema.For[params]()

func (p params) tenant() events.Tenant {
	return events.Tenant{Scope: p.Scope, Identity: p.Identity}
}
func (p params) ref() connection.Ref {
	return connection.NewRef(p.tenant(), p.Connector, p.Account)
}
func (p params) filter() connection.Filter {
	return connection.Filter{Enabled: p.Enabled, Name: p.Name, Offset: p.Offset, Limit: p.Limit}
}

// secretGrace is nil where nothing was asked for.
func (p params) secretGrace() (*time.Duration, error) {
	if p.SecretGrace == "" {
		return nil, nil
	}
	grace, err := time.ParseDuration(p.SecretGrace)
	if err != nil || grace < 0 || grace > connection.LongestSecretGrace {
		return nil, invalid("secret_grace", "must be a time from 0s to "+connection.LongestSecretGrace.String()+", such as 24h")
	}
	return &grace, nil
}

// maxRequestBody bounds the body of a management request.
const maxRequestBody = 1 << 20

func invalid(path, message string) *connectors.Error {
	return invalidFields(schema.FieldError{Path: path, Message: message})
}

func invalidFields(fields ...schema.FieldError) *connectors.Error {
	e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the request is not valid")
	e.Errors = fields
	return e
}

// parse reads the parameters of an operation from JSON, as NATS callers send it
// and as the body of an HTTP request. Names that the operation does not know are
// refused: a misspelt one would otherwise be ignored in silence.
func (op operation) parse(data []byte) (params, error) {
	var p params
	if len(data) == 0 {
		return p, nil
	}
	if _, problems := paramsSchema.Validate(data); len(problems) > 0 {
		return p, invalidFields(problems...)
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(data, &given); err != nil {
		return p, invalid("", "must be a JSON object")
	}
	var unknown []schema.FieldError
	for name := range given {
		if !op.accepts(name) {
			unknown = append(unknown, schema.FieldError{Path: name, Message: "is no parameter of " + op.name})
		}
	}
	if unknown != nil {
		slices.SortFunc(unknown, func(a, b schema.FieldError) int { return strings.Compare(a.Path, b.Path) })
		return p, invalidFields(unknown...)
	}
	if err := json.Unmarshal(data, &p); err != nil {
		field := ""
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			field = wrong.Field
		}
		return params{}, invalid(field, "does not fit its type")
	}
	return p, nil
}

// requestParams collects the parameters of path, query and body. What the path
// says a body may repeat, and not contradict.
func (i *Ingress) requestParams(op operation, w http.ResponseWriter, r *http.Request) (params, error) {
	body, err := readBody(w, r, maxRequestBody)
	if err != nil {
		return params{}, bodyError(err, maxRequestBody, connectors.CodeConnectorConfigInvalid)
	}
	p, err := op.parse(body)
	if err != nil {
		return p, err
	}
	if err := p.readQuery(op, r.URL.RawQuery); err != nil {
		return p, err
	}
	for _, part := range []struct {
		name, said string
		at         *string
	}{
		{"scope", r.PathValue("scope"), &p.Scope},
		{"identity", i.identityOf(r), &p.Identity},
		{"connector", r.PathValue("connector"), &p.Connector},
	} {
		if !op.inPath(part.name) {
			continue
		}
		if *part.at != "" && *part.at != part.said {
			return p, invalid(part.name, "does not agree with the path")
		}
		*part.at = part.said
	}
	return p, nil
}

// readQuery reads the parameters of a query string. One without a value is as if
// it were absent.
func (p *params) readQuery(op operation, raw string) error {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return invalid("", "the query string is malformed")
	}
	for name, values := range q {
		switch {
		case !op.accepts(name) || op.inPath(name):
			return invalid(name, "is no parameter of "+op.name)
		case len(values) > 1:
			return invalid(name, "is there more than once")
		case values[0] == "":
			continue
		}
		if message := p.set(name, values[0]); message != "" {
			return invalid(name, message)
		}
	}
	return nil
}

// set sets one parameter from its text, or says what is wrong with it.
func (p *params) set(name, value string) (message string) {
	var err error
	switch name {
	case "account":
		if p.Account != "" && p.Account != value {
			return "does not agree with the body"
		}
		p.Account = value
	case "name":
		p.Name = value
	case "count":
		p.Count = value
	case "enabled":
		b := false
		b, err = strconv.ParseBool(value)
		p.Enabled = &b
	case "replace":
		p.Replace, err = strconv.ParseBool(value)
	case "limit":
		n, ok := wholeNumber(value)
		if !ok {
			return "must be a whole number, 0 or more"
		}
		p.Limit = &n
	case "offset":
		n, ok := wholeNumber(value)
		if !ok {
			return "must be a whole number, 0 or more"
		}
		p.Offset = n
	default:
		return "belongs into the body"
	}
	if err != nil {
		return "must be true or false"
	}
	return ""
}

func wholeNumber(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0
}
