package connectors

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Runtime is what a request to the provider needs, resolved for one connection.
// It prints (fmt, slog, JSON) without secrets: also BaseURL is cut to its host,
// because some providers want a credential in the path.
type Runtime struct {
	BaseURL string // without a slash at the end; "" if the connector has none
	Headers map[string]secret.Text
	Query   map[string]secret.Text

	ofApp *appTemplates // what [Runtime.WithApp] adds; nil: nothing
}

// Resolve returns the runtime for an opened config. It fails with CONNECTOR_CONFIG_INVALID
// if the config does not fit the templates: a value could change the host or path of a URL,
// or add a header; there is no value for any credential; or the host of a client's own token
// is not one that the schema lists, where it lists any.
//
// For the kinds oauth2 and client_credentials the runtime lacks the token, and what the
// operator's OAuth client is part of: the owner of the grant adds them, see
// [Runtime.WithApp].
func (c *Connector) Resolve(config []byte) (Runtime, error) {
	doc, bad := decodeConfig(config)
	if bad != nil {
		return Runtime{}, c.unresolved(*bad)
	}
	var rt Runtime
	var wrong *schema.FieldError
	if c.BaseURL != "" {
		if c.Auth.Kind == AuthClientCredentials {
			wrong = c.listedHost(c.BaseURL, doc)
		}
		if wrong == nil {
			rt.BaseURL, wrong = expandURL(c.BaseURL, doc)
		}
		if wrong != nil {
			return Runtime{}, c.unresolved(*wrong)
		}
	}
	own, ofApp := c.Auth.byApp()
	if rt.Headers, wrong = expandAll(own.Headers, doc); wrong != nil {
		return Runtime{}, c.unresolved(*wrong)
	}
	if rt.Query, wrong = expandAll(own.Query, doc); wrong != nil {
		return Runtime{}, c.unresolved(*wrong)
	}
	if len(ofApp.Headers)+len(ofApp.Query) > 0 {
		rt.ofApp = &appTemplates{connector: c, auth: ofApp, config: doc}
	}
	switch c.Auth.Kind {
	case AuthBasic:
		authorization, wrong := c.Auth.basic(doc)
		if wrong != nil {
			return Runtime{}, c.unresolved(*wrong)
		}
		if rt.Headers == nil {
			rt.Headers = map[string]secret.Text{}
		}
		rt.Headers["Authorization"] = authorization
	case AuthAPIKey, AuthMapped:
		// Without a credential the request would be anonymous.
		if !c.Auth.carries(rt) {
			return Runtime{}, c.unresolved(schema.FieldError{Message: "has no value for any credential"})
		}
	}
	return rt, nil
}

func (c *Connector) unresolved(wrong schema.FieldError) error {
	e := Errorf(CodeConnectorConfigInvalid, "the config of %s cannot be used to reach the provider", c.Key)
	e.Errors = []schema.FieldError{wrong}
	return e
}

// expandAll fills in the templates and leaves out those whose field is absent.
func expandAll(templates map[string]string, config configValues) (map[string]secret.Text, *schema.FieldError) {
	return expandAllWith(templates, templateValues{"": config})
}

func expandAllWith(templates map[string]string, with templateValues) (map[string]secret.Text, *schema.FieldError) {
	if len(templates) == 0 {
		return nil, nil
	}
	var values map[string]secret.Text
	for _, name := range slices.Sorted(maps.Keys(templates)) {
		t, err := parseValueTemplate(templates[name], with.roots()...)
		if err != nil {
			return nil, &schema.FieldError{Message: "the template of " + name + " " + err.Error()}
		}
		value, wrong := t.expandWith(with)
		if wrong != nil {
			return nil, wrong
		}
		if value != "" {
			if values == nil {
				values = map[string]secret.Text{}
			}
			values[name] = secret.New(value)
		}
	}
	return values, nil
}

// basic returns the Authorization header of RFC 7617.
func (a *Auth) basic(config configValues) (secret.Text, *schema.FieldError) {
	var pair [2]string
	filled := false
	for i, template := range []string{a.Username, a.Password} {
		t, err := parseValueTemplate(template)
		if err != nil {
			return secret.Text{}, &schema.FieldError{Message: "a template of the credentials " + err.Error()}
		}
		value, wrong := t.expand(config)
		if wrong != nil {
			return secret.Text{}, wrong
		}
		filled = filled || value != "" && len(t.fields()) > 0
		pair[i] = value
	}
	if !filled {
		return secret.Text{}, &schema.FieldError{Message: "has no value for any credential"}
	}
	if strings.Contains(pair[0], ":") {
		return secret.Text{}, &schema.FieldError{Message: "must not have a colon in the user name"}
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(pair[0] + ":" + pair[1]))
	return secret.New("Basic " + encoded), nil
}

// carries reports whether the runtime has a header or parameter with a config value.
func (a *Auth) carries(rt Runtime) bool {
	in := func(templates map[string]string, values map[string]secret.Text) bool {
		for name := range values {
			if strings.Contains(templates[name], fieldMark) {
				return true
			}
		}
		return false
	}
	return in(a.Headers, rt.Headers) || in(a.Query, rt.Query)
}

// Secrets returns the values that the runtime authenticates with, for
// Call.Secrets.
func (r Runtime) Secrets() []Secret {
	return slices.Concat(slices.Collect(maps.Values(r.Headers)), slices.Collect(maps.Values(r.Query)))
}

// String shows the host, and the names of headers and parameters.
func (r Runtime) String() string {
	return fmt.Sprintf("%s headers=%v query=%v", r.host(),
		slices.Sorted(maps.Keys(r.Headers)), slices.Sorted(maps.Keys(r.Query)))
}

// host is the base URL without its path.
func (r Runtime) host() string {
	u, err := url.Parse(r.BaseURL)
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// Format covers every verb of fmt.
func (r Runtime) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue covers log/slog.
func (r Runtime) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalJSON writes what String shows. A reply that has to contain the secrets is
// made from the revealed values.
func (r Runtime) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		BaseURL string                 `json:"base_url,omitempty"`
		Headers map[string]secret.Text `json:"headers,omitempty"`
		Query   map[string]secret.Text `json:"query,omitempty"`
	}{r.host(), r.Headers, r.Query})
}
