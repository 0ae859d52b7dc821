package connectors

import (
	"cmp"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// Endpoints are an authorization server's URLs, resolved for one config. The
// others are those of [Connector.AuthorizationRequest], [Connector.UserInfoRequest] and
// [Connector.ResourcesRequest].
type Endpoints struct {
	Token, Refresh, Exchange, Renewal string
	Revocation                        string // by RFC 7009; "" where it is another request
}

// rfc7009URL returns the URL of revocations by RFC 7009.
func (o *OAuth2) rfc7009URL() string {
	if o.Revocation != nil {
		return ""
	}
	return o.RevocationURL
}

// OAuthEndpoints fills in the templates of the OAuth URLs. It fails with
// CONNECTOR_CONFIG_INVALID if the config lacks a field, or has a host that the schema does
// not list, where it lists any.
func (c *Connector) OAuthEndpoints(config []byte) (Endpoints, error) {
	o := c.Auth.OAuth2
	if o == nil {
		return Endpoints{}, Errorf(CodeConnectorOAuthNotConfigured, "%s is not an OAuth connector", c.Key)
	}
	values, wrong := decodeConfig(config)
	if wrong != nil {
		return Endpoints{}, c.unresolved(*wrong)
	}
	var e Endpoints
	for _, at := range []struct {
		template string
		to       *string
	}{
		{o.TokenURL, &e.Token}, {o.RefreshURL, &e.Refresh},
		{o.rfc7009URL(), &e.Revocation}, {o.Exchange.url(), &e.Exchange}, {o.Renewal.url(), &e.Renewal},
	} {
		if at.template == "" {
			continue
		}
		if *at.to, wrong = c.expandSecretURL(at.template, templateValues{"": values}); wrong != nil {
			return Endpoints{}, c.unresolved(*wrong)
		}
	}
	for _, at := range []*string{&e.Refresh, &e.Exchange, &e.Renewal} {
		*at = cmp.Or(*at, e.Token)
	}
	return e, nil
}

// TokenRequest is what requests to the token endpoint contain besides the parameters of
// the flow, filled in from a config and a client.
type TokenRequest struct {
	Params        map[string]Secret // TokenParams
	RefreshParams map[string]Secret
	Headers       map[string]Secret // TokenHeaders
	Claims        map[string]Secret // of Assertion
}

// TokenRequest fills in the templates of token requests. It fails with
// CONNECTOR_CONFIG_INVALID if a value cannot be used.
func (c *Connector) TokenRequest(config []byte, client Client) (TokenRequest, error) {
	o := c.Auth.OAuth2
	decoded, wrong := decodeConfig(config)
	if wrong != nil {
		return TokenRequest{}, c.unresolved(*wrong)
	}
	values := templateValues{"": decoded, rootApp: client.values()}
	var claims map[string]string
	if o.Assertion != nil {
		claims = o.Assertion.Claims
	}
	var r TokenRequest
	for _, at := range []struct {
		templates map[string]string
		to        *map[string]Secret
	}{{o.TokenParams, &r.Params}, {o.RefreshParams, &r.RefreshParams}, {o.TokenHeaders, &r.Headers}, {claims, &r.Claims}} {
		if *at.to, wrong = expandAllWith(at.templates, values); wrong != nil {
			return TokenRequest{}, c.unresolved(*wrong)
		}
	}
	return r, nil
}

// AuthorizationRequest is where a browser is sent, and with what parameters besides those of
// the flow.
type AuthorizationRequest struct {
	URL    string
	Params map[string]string // ExtraParams
}

// AuthorizationRequest fills in the templates of the authorization request. It fails with
// CONNECTOR_CONFIG_INVALID if a value cannot be used.
func (c *Connector) AuthorizationRequest(config []byte, client Client) (AuthorizationRequest, error) {
	decoded, wrong := decodeConfig(config)
	if wrong != nil {
		return AuthorizationRequest{}, c.unresolved(*wrong)
	}
	values := templateValues{"": decoded, rootApp: client.values()}
	r := AuthorizationRequest{Params: map[string]string{}}
	if r.URL, wrong = c.expandSecretURL(c.Auth.OAuth2.AuthorizationURL, values); wrong != nil {
		return AuthorizationRequest{}, c.unresolved(*wrong)
	}
	filled, wrong := expandAllWith(c.Auth.OAuth2.ExtraParams, values)
	if wrong != nil {
		return AuthorizationRequest{}, c.unresolved(*wrong)
	}
	for name, value := range filled {
		r.Params[name] = value.Reveal()
	}
	return r, nil
}

// ExpandScopes fills in the templates of scopes. A scope whose field is absent is left
// out. It fails with CONNECTOR_CONFIG_INVALID if a value of the config would make it several
// scopes.
func (c *Connector) ExpandScopes(config []byte, scopes []string) ([]string, error) {
	decoded, wrong := decodeConfig(config)
	if wrong != nil {
		return nil, c.unresolved(*wrong)
	}
	out := make([]string, 0, len(scopes))
	for _, source := range scopes {
		t, err := parseValueTemplate(source)
		if err != nil || len(t.fields()) == 0 {
			out = append(out, source) // an app's scopes are no templates
			continue
		}
		scope, wrong := t.expand(decoded)
		if wrong == nil && strings.ContainsAny(scope, " ,\"\\"+c.Auth.OAuth2.ScopeSeparator) {
			wrong = &schema.FieldError{Path: t.fields()[0], Message: "must be a part of a scope, without separators"}
		}
		if wrong != nil {
			return nil, c.unresolved(*wrong)
		}
		if scope != "" {
			out = append(out, scope)
		}
	}
	return out, nil
}

// NeedsConfig reports whether requests to the authorization server need the connection's
// config.
func (o *OAuth2) NeedsConfig() bool {
	all := o.TokenURL + o.RefreshURL + o.RevocationURL + o.UserInfoURL + o.ResourcesURL +
		o.ClientID + o.ClientSecret + o.Certificate + o.Exchange.url() + o.Renewal.url()
	installation := o.Installation
	if installation == nil {
		installation = &Installation{}
	}
	return strings.Contains(all+installation.TokenURL, fieldMark) || o.mintsByCode() ||
		usesConfig(o.TokenParams) || usesConfig(o.RefreshParams) || usesConfig(o.TokenHeaders) || usesConfig(o.Revocation.templates()) ||
		o.Assertion != nil && usesConfig(o.Assertion.Claims) || installation.Assertion != nil && usesConfig(installation.Assertion.Claims)
}

// expandSecretURL is expandEndpoint for a URL that gets something of the client. The schema
// is asked again whether it lists the values in the host: the config may have been stored
// under an older one, or be that of another connector of the family.
func (c *Connector) expandSecretURL(template string, values templateValues) (string, *schema.FieldError) {
	if wrong := c.listedHost(template, values[""]); wrong != nil {
		return "", wrong
	}
	return expandEndpoint(template, values)
}

// listedHost refuses a host that the schema does not list, where it lists any.
func (c *Connector) listedHost(template string, config configValues) *schema.FieldError {
	if c.Config != nil && strings.Contains(template, fieldMark) {
		for _, f := range hostFields(template) {
			if value, found := config.lookup(f.name); found && !c.Config.AllowsValue(f.name, value) {
				return &schema.FieldError{Path: f.name, Message: "is none of the values that the schema lists"}
			}
		}
	}
	return nil
}
