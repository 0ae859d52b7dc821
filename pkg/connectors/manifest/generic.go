package manifest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/connectors/template"
)

// genericKey is the action that every connector with a base URL has.
const genericKey = "request"

// addGeneric adds the action request, unless the definition has one of its own.
func addGeneric(c *connectors.Connector) {
	if _, exists := c.Action(genericKey); exists || c.BaseURL == "" {
		return
	}
	c.Actions = append(c.Actions, connectors.Action{
		Key: genericKey, Description: "Any request to the API, with the connection's credentials. It is not repeated when its outcome is unknown.",
		Effect: connectors.EffectWrite, Generic: true, Input: genericInputSchema(),
		Timeout: connectors.DefaultTimeout, MaxAttempts: connectors.DefaultMaxAttempts,
	})
}

var genericInputSchema = sync.OnceValue(schema.For[genericInput])

// genericInput is the input of the action request.
type genericInput struct {
	Method  string            `json:"method,omitempty" jsonschema:"enum=GET,enum=HEAD,enum=POST,enum=PUT,enum=PATCH,enum=DELETE,default=GET"`
	Path    string            `json:"path" jsonschema:"description=Below the base URL; without a query,pattern=^/[^?#]*$"`
	Query   map[string]any    `json:"query,omitempty" jsonschema:"description=Parameters; a list is repeated"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    any               `json:"body,omitempty" jsonschema:"description=Sent as JSON"`
	Form    map[string]any    `json:"form,omitempty" jsonschema:"description=Sent as a form in place of body"`
}

// genericCall runs the action request.
type genericCall struct {
	headers map[string]template.Template
	rules   []rule
}

// ownHeaders may not be set by an input: they are of the connection between us and the
// provider, or carry the credentials.
var ownHeaders = []string{"Authorization", "Connection", "Content-Length", "Cookie", "Host", "Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

// handle sends the request. The output is {status, headers, body}.
func (g *genericCall) handle(ctx context.Context, call *connectors.Call, input json.RawMessage) (json.RawMessage, error) {
	document, err := decode(input)
	if err != nil {
		return nil, err
	}
	v, err := valuesOf(call, nil)
	if err != nil {
		return nil, err
	}
	member := func(name string) any { value, _ := template.Lookup(document, name); return value }
	path := template.TextOf(member("path"))
	if decoded, err := url.PathUnescape(path); err != nil || slices.Contains(strings.Split(decoded, "/"), "..") {
		return nil, connectors.Errorf(connectors.CodeConnectorActionInputInvalid, "path must be percent-encoded, without ..")
	}
	base := request{method: template.TextOf(member("method"))}
	f, err := base.fill(call.BaseURL, v, g.headers)
	if err != nil {
		return nil, err
	}
	f.url = call.BaseURL + path
	f.query = parameters(member("query"))
	f.body, f.form = member("body"), member("form")
	headers, _ := member("headers").(map[string]any)
	for name, value := range headers {
		text, err := headerValue(template.TextOf(value))
		if err != nil || slices.Contains(ownHeaders, http.CanonicalHeaderKey(name)) {
			return nil, connectors.Errorf(connectors.CodeConnectorActionInputInvalid, "the header %.64q cannot be set by an input", name)
		}
		f.header.Set(name, text)
	}
	reply, err := newExchange(call, g.rules).do(ctx, f)
	if err != nil {
		return nil, err
	}
	return encode(reply)
}
