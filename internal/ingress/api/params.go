package api

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// params are the parameters of an operation: those of path, query and body in one
// object, as NATS callers send it.
type params struct {
	ID        string            `json:"id,omitempty"` // of a stored webhook
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

	Role      string `json:"role,omitempty"` // of an API token
	ExpiresIn string `json:"expires_in,omitempty"`
	Cursor    string `json:"cursor,omitempty"`

	Actor     string `json:"actor,omitempty"` // of entries of the audit trail
	Operation string `json:"operation,omitempty"`
	Outcome   string `json:"outcome,omitempty"`

	Definition string `json:"definition,omitempty"` // YAML, of a connector
	DryRun     bool   `json:"dry_run,omitempty"`

	ClientID      string            `json:"client_id,omitempty"` // of an app
	ClientSecret  *secret.Text      `json:"client_secret,omitempty"`
	ClientSecrets []secret.Text     `json:"client_secrets,omitempty"`
	ExtraParams   map[string]string `json:"extra_params,omitempty"`
	// Extra are further keys of an app, by the names that the connector's templates use.
	Extra map[string]secret.Text `json:"extra,omitempty"`
}

// paramsSchema finds every unknown name and wrong type at once.
var paramsSchema = schema.For[params]()

func (p params) tenant() events.Tenant {
	return events.Tenant{Scope: p.Scope, Identity: p.Identity}
}
func (p params) ref() records.Ref {
	return records.NewRef(p.tenant(), p.Connector, p.Account)
}
func (p params) filter() connection.Filter {
	return connection.Filter{Enabled: p.Enabled, Name: p.Name, Offset: p.Offset, Limit: p.Limit}
}

// secretGrace returns the grace time; nil if none is given.
func (p params) secretGrace() (*time.Duration, error) {
	if p.SecretGrace == "" {
		return nil, nil
	}
	grace, err := time.ParseDuration(p.SecretGrace)
	if err != nil || grace < 0 || grace > records.LongestSecretGrace {
		return nil, problem.Invalid("secret_grace", "must be a time from 0s to "+records.LongestSecretGrace.String()+", such as 24h")
	}
	return &grace, nil
}

// maxRequestBody bounds the body of a management request.
const maxRequestBody = 1 << 20

// parse reads the parameters of an operation from JSON, as NATS callers send it and as
// the body of an HTTP request. Unknown names are refused: a misspelt one would otherwise
// be ignored.
func (op operation) parse(data []byte) (params, error) {
	var p params
	if len(data) == 0 {
		return p, nil
	}
	if _, problems := paramsSchema.Validate(data); len(problems) > 0 {
		return p, problem.InvalidFields(problems...)
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(data, &given); err != nil {
		return p, problem.Invalid("", "must be a JSON object")
	}
	var unknown []schema.FieldError
	for name := range given {
		if !op.accepts(name) {
			unknown = append(unknown, schema.FieldError{Path: name, Message: "is no parameter of " + op.name})
		}
	}
	if unknown != nil {
		slices.SortFunc(unknown, func(a, b schema.FieldError) int { return strings.Compare(a.Path, b.Path) })
		return p, problem.InvalidFields(unknown...)
	}
	if err := json.Unmarshal(data, &p); err != nil {
		field := ""
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			field = wrong.Field
		}
		return params{}, problem.Invalid(field, "does not fit its type")
	}
	return p, nil
}
