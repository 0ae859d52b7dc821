package connectors

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// grantOwner refuses that a tenant chooses for whom the operator's client requests
// tokens: the provider issues the operator tokens of everybody who has installed its app.
func (c *oauthCheck) grantOwner(o *OAuth2) {
	if c.check.connector.Auth.Kind != AuthClientCredentials || c.check.connector.ProvesOwner() || !o.operatorAuthenticates() {
		return
	}
	const remedy = "which any tenant can set, who would then get another tenant's token by the operator's client: " +
		"have Validate prove that it is the tenant's, or have the config bring the client (client_id)"
	if o.mintsByCode() {
		c.check.invalid("auth.oauth2.mint_token", "gets the config, "+remedy)
	}
	templates := map[string]string{"token_url": o.TokenURL}
	for what, params := range map[string]map[string]string{"token_params": o.TokenParams, "refresh_params": o.RefreshParams, "token_headers": o.TokenHeaders} {
		for name, source := range params {
			templates[what+"."+name] = source
		}
	}
	if o.Assertion != nil {
		for name, source := range o.Assertion.Claims {
			templates["assertion.claims."+name] = source
		}
	}
	for path, source := range templates {
		for _, field := range templateFields(source) {
			if c.check.connector.Config == nil || !c.check.connector.Config.Enumerates(field) {
				c.check.invalid("auth.oauth2."+path, "contains the config field %q, "+remedy, field)
			}
		}
	}
}

// secretHosts refuses a host that a client's secret is sent to and that somebody else
// chooses, because it contains a field of the config. Two could:
//
//	a browser, which writes the redirect's query    only among hosts that the schema lists
//	a tenant, where the secret is the operator's    among those, and below a domain that the template ends in
//
// A Validate is no help: it is called when the secret has been sent, and the token.
func (c *oauthCheck) secretHosts(o *OAuth2) {
	if c.check.connector.Config == nil {
		return
	}
	fromQuery := o.queryFields()
	owner, remedy := sharedSecret(c.check.connector)
	for _, r := range secretURLs(c.check.connector) {
		r.url = strings.ReplaceAll(r.url, installationID, "x")
		for _, f := range hostFields(r.url) {
			switch {
			case c.check.connector.Config.Enumerates(f.name):
			case slices.Contains(fromQuery, f.name):
				c.check.invalid(r.path, "contains the config field %q, which the redirect's query sets: list its values in the schema (enum)", f.name)
			case owner != "" && r.content != "" && !f.below:
				c.check.invalid(r.path, "contains the config field %q, which any tenant can set, and %s is sent there: %slist its values in the schema (enum), "+
					"have the host end in the provider's domain (${config.%s}.example.com), or have the config bring the client (client_id, client_secret)",
					f.name, fmt.Sprintf(r.content, owner), remedy, f.name)
			}
		}
	}
}

// A secretURL is a URL to which something of the client is sent.
type secretURL struct {
	path, url string
	content   string // what is sent, a format of its owner; "" is nothing of the client
}

const (
	sentProof = "the secret of %s (or what it signs)"
	sentToken = "the token of %s"
	sentKeys  = "a key of %s"
)

// secretURLs lists the URLs of a definition that get something of the client. UserInfoURL,
// ResourcesURL and the API get a user's token, which the tenant may send anywhere; a
// certificate that is presented to them is good for that connection alone.
func secretURLs(c *Connector) []secretURL {
	const at = "auth.oauth2."
	o := c.Auth.OAuth2
	all := []secretURL{
		{at + "token_url", o.TokenURL, sentProof}, {at + "refresh_url", o.RefreshURL, sentProof}, {at + "revocation_url", o.RevocationURL, sentProof},
		{at + "exchange.url", o.Exchange.url(), o.exchangeContent(o.Exchange)}, {at + "renewal.url", o.Renewal.url(), o.exchangeContent(o.Renewal)},
	}
	for _, name := range slices.Sorted(maps.Keys(o.Companions)) {
		own, at := o.Companions[name], at+"companions."+name+"."
		all = append(all, secretURL{at + "refresh_url", own.RefreshURL, sentProof}, secretURL{at + "revocation_url", own.RevocationURL, sentProof},
			secretURL{at + "exchange.url", own.Exchange.url(), o.exchangeContent(own.Exchange)})
	}
	if o.Installation != nil {
		all = append(all, secretURL{at + "installation.token_url", o.Installation.TokenURL, sentProof}, secretURL{"base_url", c.BaseURL, sentToken})
	}
	if c.Auth.Kind == AuthClientCredentials {
		all = append(all, secretURL{"base_url", c.BaseURL, sentToken})
	}
	if namesAppKeys(c.Auth.Headers) || namesAppKeys(c.Auth.Query) {
		all = append(all, secretURL{"base_url", c.BaseURL, sentKeys})
	}
	if namesAppKeys(o.UserInfo.templates()) || namesAppKeys(map[string]string{"": o.UserInfoURL}) {
		all = append(all, secretURL{at + "userinfo_url", o.UserInfoURL, sentKeys})
	}
	if namesAppKeys(map[string]string{"": o.ResourcesURL}) {
		all = append(all, secretURL{at + "resources_url", o.ResourcesURL, sentKeys})
	}
	return all
}

// namesAppKeys reports whether a template names one of the app's further keys.
func namesAppKeys(templates map[string]string) bool {
	for _, t := range templates {
		if strings.Contains(t, appMark+"extra.") {
			return true
		}
	}
	return false
}

// exchangeContent is what an exchange sends of the client.
func (o *OAuth2) exchangeContent(x *Exchange) string {
	sendsSecret := slices.Contains([]ClientAuth{"", ClientAuthBody, ClientAuthBasic, ClientAuthBasicPlain}, o.ClientAuth)
	if x != nil && sendsSecret && slices.Contains(x.Omit, "client_secret") {
		return ""
	}
	return sentProof
}

// sharedSecret returns the owner of a secret that all tenants share in token requests, and
// what more can be done about it; "" if there is none. The default config's secret is
// shared: a change of a connection's config can keep it and set another host.
func sharedSecret(c *Connector) (owner, remedy string) {
	o := c.Auth.OAuth2
	if o.operatorAuthenticates() {
		return "the operator's client", ""
	}
	defaults, wrong := decodeConfig(c.DefaultConfig)
	if wrong != nil {
		return "", "" // reported by config
	}
	sent := slices.Concat(slices.Collect(maps.Values(o.TokenParams)), slices.Collect(maps.Values(o.RefreshParams)), slices.Collect(maps.Values(o.TokenHeaders)), []string{o.ClientSecret})
	for _, source := range sent {
		for _, field := range templateFields(source) {
			value, _ := defaults.lookup(field)
			if value != nil && value != "" && c.Config.IsSecret(field) {
				return "the default config", "leave it out of default_config, "
			}
		}
	}
	return "", ""
}

// operatorAuthenticates reports whether requests to the token endpoint prove that they are
// the operator's: by a secret or a key of its own app, or of the definition, which all
// tenants share.
func (o *OAuth2) operatorAuthenticates() bool {
	sendsSecret := o.ParamName("client_secret") != "" || o.ClientAuth != "" && o.ClientAuth != ClientAuthBody
	signs := o.Mint != nil || o.mintsByCode() || o.SignToken != nil || slices.Contains(o.Hooks, hookSignToken)
	shared := o.ClientID == "" || o.ClientSecret != "" && !strings.Contains(o.ClientSecret, fieldMark)
	return shared && (sendsSecret || signs)
}
