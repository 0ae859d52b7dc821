package connectors

import (
	"net/url"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Installation is an app that is installed for an account at the provider. The browser
// comes back with the installation's id, and the client requests the installation's tokens
// by the grant of client credentials: there is no refresh token. The kind is oauth2.
//
// A browser can send any id, and the provider gives the operator the tokens of everybody's
// installations. So the callback has to bring a code too, whose token proves that the id is
// the user's: it lists the user's installations at ResourcesURL, with the id among them (a
// callback without an id lets the user choose), or its reply has the id (ID). The user's
// token is used for that, and not stored. Metadata puts the id into the config
// ("resource.id").
//
//	GitHub App: {param: installation_id, token_url: "https://api.github.com/app/installations/${installation.id}/access_tokens",
//	             client_secret: "${app.extra.private_key}", client_auth: private_key_jwt, mint: {}}
//	Microsoft:  {id: id_token.tid, token_url: "https://login.microsoftonline.com/${installation.id}/oauth2/v2.0/token",
//	             scopes: ["https://graph.microsoft.com/.default"]}
type Installation struct {
	// Param is the callback's parameter with the installation's id, which is looked for in
	// the list of ResourcesURL.
	Param string `json:"param,omitempty" yaml:"param,omitempty"`
	// ID is where the reply of the token endpoint has the id: "token.<path>", or
	// "id_token.<claim>" for a claim of its ID token. One of Param and ID is set.
	ID string `json:"id,omitempty" yaml:"id,omitempty"`
	// TokenURL is where the installation's tokens are requested; its path or query may
	// contain ${installation.id}. Required.
	TokenURL string `json:"token_url" yaml:"token_url"`
	// ClientID and ClientSecret are templates of ${app.client_id}, ${app.client_secret} and
	// ${app.extra.<name>}; "" is the app's own.
	ClientID     string `json:"client_id,omitempty" yaml:"client_id,omitempty"`
	ClientSecret string `json:"client_secret,omitempty" yaml:"client_secret,omitempty"`
	// These are in the place of those of OAuth2.
	GrantType   string            `json:"grant_type,omitempty" yaml:"grant_type,omitempty"`
	ClientAuth  ClientAuth        `json:"client_auth,omitempty" yaml:"client_auth,omitempty"`
	Scopes      []string          `json:"scopes,omitempty" yaml:"scopes,omitempty"`
	TokenParams map[string]string `json:"token_params,omitempty" yaml:"token_params,omitempty"`
	TokenFields map[string]string `json:"token_fields,omitempty" yaml:"token_fields,omitempty"`
	TokenBody   TokenBody         `json:"token_body,omitempty" yaml:"token_body,omitempty"`
	Mint        *Mint             `json:"mint,omitempty" yaml:"mint,omitempty"`
	Assertion   *Assertion        `json:"assertion,omitempty" yaml:"assertion,omitempty"`
}

const installationID = "${installation.id}"

// Installed returns the connector as it requests tokens of one installation. It is false if
// the connector has no Installation, or the id cannot be part of a URL.
func (c *Connector) Installed(id string) (*Connector, bool) {
	if c.Auth.OAuth2 == nil || c.Auth.OAuth2.Installation == nil || id == "" || id == "." || id == ".." {
		return nil, false
	}
	o, own := *c.Auth.OAuth2, c.Auth.OAuth2.Installation
	escaped := strings.ReplaceAll(url.QueryEscape(id), "+", "%20")
	o.TokenURL = strings.ReplaceAll(own.TokenURL, installationID, escaped)
	o.RefreshURL, o.Exchange, o.Renewal, o.Repair, o.Companions = "", nil, nil, nil, nil
	o.GrantType, o.ClientAuth, o.Mint, o.Assertion = own.GrantType, own.ClientAuth, own.Mint, own.Assertion
	o.Scopes, o.TokenParams, o.TokenFields, o.TokenBody = own.Scopes, own.TokenParams, own.TokenFields, own.TokenBody
	as := *c
	as.Auth.OAuth2 = &o
	return &as, true
}

// InstallationClient returns the client that requests the tokens of installations.
func (c *Connector) InstallationClient(app Client) (Client, error) {
	own := c.Auth.OAuth2.Installation
	values := templateValues{rootApp: app.values()}
	out := app
	for _, at := range []struct {
		template string
		set      func(string)
	}{
		{own.ClientID, func(text string) { out.ID = text }},
		{own.ClientSecret, func(text string) { out.Secret = secret.New(text) }},
	} {
		if at.template == "" {
			continue
		}
		text, wrong := expandAppKey(at.template, values)
		if wrong != nil || text == "" {
			return Client{}, Errorf(CodeConnectorOAuthNotConfigured, "the app of %s has no value for %s: set it with 'hawser app set'", c.Key, at.template)
		}
		at.set(text)
	}
	return out, nil
}

// expandAppKey fills in a template of the app. A key that is the whole template may have
// lines: it is never put into a header.
func expandAppKey(template string, values templateValues) (string, *schema.FieldError) {
	t, err := parseValueTemplate(template, rootApp)
	if err != nil {
		return "", &schema.FieldError{Message: "the template " + err.Error()}
	}
	if len(t) == 1 && t[0].root == rootApp {
		value, _ := values[rootApp].lookup(t[0].field)
		text, _ := value.(string)
		return text, nil
	}
	return t.expandWith(values)
}
