package connectors

import (
	"cmp"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// Endpoints are an authorization server's URLs, resolved for one config.
type Endpoints struct {
	Authorization, Token, Refresh, Revocation, UserInfo, Resources, Exchange, Renewal string
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
		{o.AuthorizationURL, &e.Authorization}, {o.TokenURL, &e.Token}, {o.RefreshURL, &e.Refresh},
		{o.RevocationURL, &e.Revocation}, {o.UserInfoURL, &e.UserInfo}, {o.ResourcesURL, &e.Resources},
		{o.Exchange.url(), &e.Exchange}, {o.Renewal.url(), &e.Renewal},
	} {
		if at.template == "" {
			continue
		}
		if *at.to, wrong = c.expandSecretURL(at.template, values); wrong != nil {
			return Endpoints{}, c.unresolved(*wrong)
		}
	}
	for _, at := range []*string{&e.Refresh, &e.Exchange, &e.Renewal} {
		*at = cmp.Or(*at, e.Token)
	}
	return e, nil
}

// TokenRequest is what requests to the token endpoint contain besides the parameters of
// the flow, filled in from a config.
type TokenRequest struct {
	Params map[string]Secret // TokenParams
	Claims map[string]Secret // of Assertion
}

// TokenRequest fills in the templates of token requests. It fails with
// CONNECTOR_CONFIG_INVALID if a value cannot be used.
func (c *Connector) TokenRequest(config []byte) (TokenRequest, error) {
	o := c.Auth.OAuth2
	values, wrong := decodeConfig(config)
	if wrong != nil {
		return TokenRequest{}, c.unresolved(*wrong)
	}
	var r TokenRequest
	if r.Params, wrong = expandAll(o.TokenParams, values); wrong != nil {
		return TokenRequest{}, c.unresolved(*wrong)
	}
	if o.Assertion != nil {
		if r.Claims, wrong = expandAll(o.Assertion.Claims, values); wrong != nil {
			return TokenRequest{}, c.unresolved(*wrong)
		}
	}
	return r, nil
}

// NeedsConfig reports whether requests to the authorization server need the connection's
// config.
func (o *OAuth2) NeedsConfig() bool {
	all := o.TokenURL + o.RefreshURL + o.RevocationURL + o.UserInfoURL + o.ResourcesURL +
		o.ClientID + o.ClientSecret + o.Certificate + o.Exchange.url() + o.Renewal.url()
	return strings.Contains(all, fieldMark) || o.mintsByCode() || usesConfig(o.TokenParams) ||
		o.Assertion != nil && usesConfig(o.Assertion.Claims)
}

// expandSecretURL is expandURL for a URL that gets something of the client. The schema
// is asked again whether it lists the values in the host: the config may have been stored
// under an older one, or be that of another connector of the family.
func (c *Connector) expandSecretURL(template string, config configValues) (string, *schema.FieldError) {
	if c.Config != nil && strings.Contains(template, fieldMark) {
		for _, f := range hostFields(template) {
			if value, found := config.lookup(f.name); found && !c.Config.AllowsValue(f.name, value) {
				return "", &schema.FieldError{Path: f.name, Message: "is none of the values that the schema lists"}
			}
		}
	}
	return expandURL(template, config)
}
