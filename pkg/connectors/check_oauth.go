package connectors

import (
	"cmp"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

var (
	xmlName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
	xmlPath = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_-]*\.)*@?[A-Za-z_][A-Za-z0-9_-]*$`)
)

// reservedParams are set by the flow: a definition that could set them could switch
// its protections off.
var reservedParams = []string{
	"client_id", "client_secret", "redirect_uri", "response_type", "response_mode", "state", "scope",
	"code_challenge", "code_challenge_method",
	"grant_type", "code", "code_verifier", "refresh_token",
	"client_assertion", "client_assertion_type",
}

// An oauthCheck checks the OAuth2 of a definition.
type oauthCheck struct{ check *definitionCheck }

func (c *oauthCheck) oauth() {
	o, kind := c.check.connector.Auth.OAuth2, c.check.connector.Auth.Kind
	if o == nil {
		c.check.report(CodeConnectorOAuthNotConfigured, "auth.oauth2", "is required")
		return
	}
	c.check.requireBaseURL("tokens")
	if o.TokenURL == "" {
		c.check.report(CodeConnectorOAuthNotConfigured, "auth.oauth2.token_url", "is required")
	}
	if o.AuthorizationURL == "" && kind == AuthOAuth2 {
		c.check.report(CodeConnectorOAuthNotConfigured, "auth.oauth2.authorization_url", "is required")
	}
	c.urls("auth.oauth2.", map[string]string{"token_url": o.TokenURL, "refresh_url": o.RefreshURL})
	ofToken, ofRevocation := namedFields{app: true, token: true, tokenFields: true}, namedFields{}
	if o.Revocation != nil {
		ofRevocation = namedFields{app: true, appSecret: true, token: true}
	}
	c.endpoint("auth.oauth2.userinfo_url", o.UserInfoURL, ofToken)
	c.endpoint("auth.oauth2.resources_url", o.ResourcesURL, ofToken)
	c.endpoint("auth.oauth2.revocation_url", o.RevocationURL, ofRevocation)
	c.endpointRequest("auth.oauth2.userinfo", o.UserInfoURL, o.UserInfo, ofToken)
	c.endpointRequest("auth.oauth2.revocation", o.RevocationURL, o.Revocation, ofRevocation)
	c.authorizationRequest(o)
	c.installation(o)
	c.oauthClient(o)
	c.assertion(o)
	c.tokenBody(o)
	c.oauthParams(o)
	if kind != AuthOAuth2 && (o.Exchange != nil || o.Renewal != nil) {
		c.check.invalid("auth.oauth2", "cannot have an exchange or a renewal with the kind %s", kind)
	}
	c.exchange("auth.oauth2.exchange", o.Exchange, tokenAccess)
	c.exchange("auth.oauth2.renewal", o.Renewal, tokenAccess)
	c.companions(o)
	c.mint(o)
	c.grantOwner(o)
	c.secretHosts(o)
	if o.Repair != nil && o.Repair.GrantType == "" {
		c.check.invalid("auth.oauth2.repair.grant_type", "is required")
	}
	if !slices.Contains(expiryForms, o.Expiry) {
		c.check.invalid("auth.oauth2.expiry", "is unknown: %q", o.Expiry)
	}
	for field, source := range o.Metadata {
		from, name, _ := strings.Cut(source, ".")
		if name == "" || !slices.Contains([]string{"token", "query", "user", "resource"}, from) {
			c.check.invalid("auth.oauth2.metadata."+field, "must be token., query., user. or resource. and a name")
		}
		c.check.field("auth.oauth2.metadata."+field, field)
	}
	if o.Family != "" && !connectorKey.MatchString(o.Family) {
		c.check.invalid("auth.oauth2.family", "must be [a-z][a-z0-9-]*, got %q", o.Family)
	}
}

// urls checks the URLs of endpoints that are set, by their name below path.
func (c *oauthCheck) urls(path string, urls map[string]string) {
	for name, u := range urls {
		c.endpoint(path+name, u, namedFields{})
	}
}

// oauthClient checks how the client authenticates.
func (c *oauthCheck) oauthClient(o *OAuth2) {
	if o.ClientAuth != "" && !slices.Contains(clientAuths, o.ClientAuth) {
		c.check.invalid("auth.oauth2.client_auth", "must be one of %s, got %q", joined(clientAuths), o.ClientAuth)
	}
	c.check.template("auth.oauth2.client_id", o.ClientID)
	c.check.secretTemplate("auth.oauth2.client_secret", o.ClientSecret)
	if o.MTLS && !o.ClientAuth.NeedsKey() && o.Certificate == "" {
		c.check.invalid("auth.oauth2.mtls", "needs a certificate: set certificate, or client_auth tls_client_auth or private_key_jwt")
	}
	c.check.secretTemplate("auth.oauth2.certificate", o.Certificate)
	if o.Certificate != "" && o.ClientAuth == ClientAuthTLS {
		c.check.invalid("auth.oauth2.certificate", "cannot be used with client_auth tls_client_auth, whose certificate is the client secret")
	}
	for path, x := range map[string]*Exchange{"exchange": o.Exchange, "renewal": o.Renewal} {
		if o.SignToken != nil && x != nil && (x.Method == http.MethodGet || len(x.Omit) > 0) {
			c.check.invalid("auth.oauth2."+path, "cannot have method GET or omit with SignToken: the request would change after it is signed")
		}
	}
}

func (c *oauthCheck) assertion(o *OAuth2) {
	if o.Assertion == nil {
		return
	}
	if !o.ClientAuth.SignsJWT() && o.Mint == nil && o.Repair == nil {
		c.check.invalid("auth.oauth2.assertion", "is not used: client_auth is neither private_key_jwt nor client_secret_jwt, and there is no mint or repair")
	}
	algorithms := secretAlgorithms
	if o.ClientAuth.NeedsKey() {
		algorithms = keyAlgorithms
	}
	if !slices.Contains(algorithms, o.Assertion.Algorithm) {
		c.check.invalid("auth.oauth2.assertion.algorithm", "must be one of %s, got %q", joined(algorithms[1:]), o.Assertion.Algorithm)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Assertion.Claims)) {
		path := "auth.oauth2.assertion.claims." + name
		if name == "" || slices.Contains(timeClaims, name) {
			c.check.invalid(path, "is set by the flow itself")
		}
		c.check.template(path, o.Assertion.Claims[name])
	}
}

// tokenBody checks how token requests are encoded.
func (c *oauthCheck) tokenBody(o *OAuth2) {
	if o.TokenBody != "" && !slices.Contains(tokenBodies, o.TokenBody) {
		c.check.invalid("auth.oauth2.token_body", "must be one of %s, got %q", joined(tokenBodies), o.TokenBody)
	}
	if o.TokenBody != TokenBodyXML {
		if o.TokenRoot != "" {
			c.check.invalid("auth.oauth2.token_root", "cannot be used unless token_body is xml")
		}
		return
	}
	if !xmlName.MatchString(o.XMLRoot()) || strings.HasPrefix(strings.ToLower(o.XMLRoot()), "xml") {
		c.check.invalid("auth.oauth2.token_root", "must be the name of an element")
	}
	for name := range o.TokenParams {
		c.xmlParam("auth.oauth2.token_params."+name, name)
	}
	for name, own := range o.ParamNames {
		if own != "" {
			c.xmlParam("auth.oauth2.param_names."+name, own)
		}
	}
	if o.Mint != nil && o.Mint.AssertionParam != "" {
		c.xmlParam("auth.oauth2.mint.assertion_param", o.ParamName(o.Mint.AssertionParam))
	}
	if o.Repair != nil && o.Repair.AssertionParam != "" {
		c.xmlParam("auth.oauth2.repair.assertion_param", o.ParamName(o.Repair.AssertionParam))
	}
}

// xmlParam checks the name of a parameter of an XML body, which is not escaped.
func (c *oauthCheck) xmlParam(path, name string) {
	if !xmlPath.MatchString(name) {
		c.check.invalid(path, "must be the path of an element or attribute")
	}
}

// oauthParams checks the names of parameters, and what is added to requests.
func (c *oauthCheck) oauthParams(o *OAuth2) {
	// standardName returns the parameter, other than name, whose name at the provider is own.
	standardName := func(own, name string) string {
		i := slices.IndexFunc(reservedParams, func(other string) bool { return other != name && strings.EqualFold(o.ParamName(other), own) })
		if i < 0 || own == "" {
			return ""
		}
		return reservedParams[i]
	}
	for _, name := range slices.Sorted(maps.Keys(o.ParamNames)) {
		path, own := "auth.oauth2.param_names."+name, o.ParamNames[name]
		switch {
		case !slices.Contains(reservedParams, name):
			c.check.invalid(path, "is not a parameter of the flow")
		case own == "" && !omissible(name, c.check.connector.Auth.Kind):
			c.check.invalid(path, "cannot be left out")
		case standardName(own, name) != "":
			c.check.invalid(path, "is the name of %s", standardName(own, name))
		case strings.ContainsFunc(own, func(r rune) bool { return r <= ' ' || r == 0x7f }):
			c.check.invalid(path, "must not contain blanks or control characters")
		}
	}
	for what, params := range map[string]map[string]string{"extra_params": o.ExtraParams, "token_params": o.TokenParams, "refresh_params": o.RefreshParams} {
		for _, name := range slices.Sorted(maps.Keys(params)) {
			path := "auth.oauth2." + what + "." + name
			if c.setByFlow(o, name) {
				c.check.invalid(path, "is set by the flow itself")
			}
			c.check.appTemplate(path, params[name], namedFields{app: true, appSecret: what != "extra_params"})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.ExtraParams)) {
		c.publicTemplate("auth.oauth2.extra_params."+name, o.ExtraParams[name], rootApp)
	}
	c.requestHeaders("auth.oauth2.token_headers", o.TokenHeaders, namedFields{app: true, appSecret: true})
}

// omissible reports whether requests may lack the parameter. Without a user there is no
// redirect that the others would protect.
func omissible(name string, kind AuthKind) bool {
	return name == "response_type" || name == "scope" || kind == AuthClientCredentials &&
		slices.Contains([]string{"grant_type", "client_id", "client_secret"}, name)
}

// exchange checks an exchange at a path of a definition. tokens are those that may be
// exchanged.
func (c *oauthCheck) exchange(path string, x *Exchange, tokens ...string) {
	if x == nil {
		return
	}
	o := c.check.connector.Auth.OAuth2
	c.urls(path+".", map[string]string{"url": x.URL})
	if !slices.Contains([]string{"", http.MethodPost, http.MethodGet}, x.Method) {
		c.check.invalid(path+".method", "must be POST or GET, got %q", x.Method)
	}
	if !slices.Contains(tokens, cmp.Or(x.Token, tokenAccess)) {
		c.check.invalid(path+".token", "cannot be %q here", x.Token)
	}
	_, subject := x.FormParams()
	if x.Method != http.MethodGet {
		if len(x.Omit) > 0 && o.TokenBody != "" && o.TokenBody != TokenBodyForm {
			c.check.invalid(path+".omit", "makes its request a form, but token_body is %s", o.TokenBody)
		}
		if o.TokenBody == TokenBodyXML {
			c.xmlParam(path+".token_param", o.ParamName(subject))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(x.Params)) {
		if slices.Contains([]string{"client_id", "client_secret", "grant_type", subject}, name) {
			c.check.invalid(path+".params."+name, "is set by the exchange itself")
		}
		if own := o.ParamName(name); o.TokenBody == TokenBodyXML && x.Method != http.MethodGet && own != "" {
			c.xmlParam(path+".params."+name, own)
		}
	}
	for _, name := range x.Omit {
		if name != "client_id" && name != "client_secret" {
			c.check.invalid(path+".omit", "can hold client_id and client_secret, got %q", name)
		}
	}
}

func (c *oauthCheck) companions(o *OAuth2) {
	for _, name := range slices.Sorted(maps.Keys(o.Companions)) {
		own, path := o.Companions[name], "auth.oauth2.companions."+name
		if !connectorKey.MatchString(name) {
			c.check.invalid(path, "must have a name of the form [a-z][a-z0-9-]*, got %q", name)
		}
		if c.check.connector.Auth.Kind != AuthOAuth2 {
			c.check.invalid(path, "cannot be used with the kind %s", c.check.connector.Auth.Kind)
		}
		c.exchange(path+".exchange", own.Exchange, tokenAccess, tokenRefresh)
		if (own.TokenFields["access_token"] == "") == (own.Exchange == nil) {
			c.check.invalid(path+".token_fields", "must name the place of access_token if there is no exchange, and must not if there is one")
		}
		if len(own.Scopes) > 0 && own.ScopeParam == "" {
			c.check.invalid(path+".scope_param", "is required because there are scopes")
		}
		if slices.Contains(reservedParams, own.ScopeParam) || own.ScopeParam != "" && o.ParamName(own.ScopeParam) != own.ScopeParam {
			c.check.invalid(path+".scope_param", "is set by the flow itself")
		}
		c.urls(path+".", map[string]string{"refresh_url": own.RefreshURL, "revocation_url": own.RevocationURL})
		if own.BaseURL != "" {
			c.check.url(path+".base_url", own.BaseURL)
		}
	}
}

func (c *oauthCheck) mint(o *OAuth2) {
	if o.Mint == nil && o.MintToken == nil {
		return
	}
	if c.check.connector.Auth.Kind != AuthClientCredentials {
		c.check.invalid("auth.oauth2.mint", "cannot be used with the kind %s", c.check.connector.Auth.Kind)
	}
	if o.Mint != nil && o.MintToken != nil {
		c.check.invalid("auth.oauth2.mint", "cannot be combined with the function MintToken")
	}
	if o.Mint != nil && slices.Contains(reservedParams, o.Mint.AssertionParam) {
		c.check.invalid("auth.oauth2.mint.assertion_param", "is set by the flow itself")
	}
}

// joined returns names as a list for a message.
func joined[T ~string](names []T) string {
	text := make([]string, len(names))
	for i, name := range names {
		text[i] = string(name)
	}
	return strings.Join(text, ", ")
}
