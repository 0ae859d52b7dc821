package connectors

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// appFields returns the fields of a root that a template names.
func rootFields(source, root string) (fields []string) {
	t, err := parseValueTemplate(source, allRoots...)
	if err != nil {
		return nil // reported where the template is checked
	}
	for _, p := range t {
		if p.field != "" && p.root == root {
			fields = append(fields, p.field)
		}
	}
	return fields
}

// The fields that templates may name besides those of the config.
type namedFields struct {
	app, appSecret     bool // client_id and extra; client_secret
	token, tokenFields bool // the tokens; every field of their reply
}

// appTemplate checks a template that may name the app or a token.
func (c *definitionCheck) appTemplate(path, source string, allowed namedFields) {
	var roots []string
	if allowed.app {
		roots = append(roots, rootApp)
	}
	if allowed.token {
		roots = append(roots, rootToken)
	}
	c.templateWith(path, source, roots...)
	for _, field := range rootFields(source, rootApp) {
		name, isExtra := strings.CutPrefix(field, "extra.")
		switch {
		case isExtra && name != "" && !strings.Contains(name, "."), field == "client_id":
		case field != "client_secret":
			c.invalid(path, "can name app.client_id and app.extra.<name>, got app.%s", field)
		case !allowed.appSecret:
			c.invalid(path, "cannot name app.client_secret: it is sent to the token endpoint, and to that of a revocation, only")
		}
	}
	for _, field := range rootFields(source, rootToken) {
		if !allowed.tokenFields && field != "access_token" && field != "refresh_token" {
			c.invalid(path, "can name token.access_token and token.refresh_token, got token.%s", field)
		}
	}
}

// endpoint checks the template of an endpoint's URL, which may name the app or a token in
// its path and query. It may have a fragment only where a browser opens it.
func (c *oauthCheck) endpoint(path, source string, allowed namedFields) {
	if source == "" {
		return
	}
	c.check.appTemplate(path, source, allowed)
	sample, err := sampleURL(source, allRoots...)
	if err == nil {
		err = checkEndpoint(sample)
	}
	if err != nil {
		c.check.invalid(path, "%v", err)
		return
	}
	if strings.Contains(sample, "#") && path != "auth.oauth2.authorization_url" {
		c.check.invalid(path, "must not contain a fragment: it is not sent")
	}
}

// authorizationURL checks that the URL's own query has no parameter of the flow.
func (c *oauthCheck) authorizationURL(o *OAuth2) {
	const path = "auth.oauth2.authorization_url"
	c.endpoint(path, o.AuthorizationURL, namedFields{app: true})
	sample, err := sampleURL(o.AuthorizationURL, allRoots...)
	if err != nil {
		return
	}
	u, err := url.Parse(sample)
	if err != nil {
		return
	}
	for name := range u.Query() {
		if c.setByFlow(o, name) {
			c.check.invalid(path, "has the parameter %s, which is set by the flow itself", name)
		}
	}
}

// setByFlow reports whether a parameter, under its standard or the provider's name, is set
// by the flow.
func (c *oauthCheck) setByFlow(o *OAuth2, name string) bool {
	return slices.ContainsFunc(reservedParams, func(own string) bool {
		return strings.EqualFold(own, name) || strings.EqualFold(o.ParamName(own), name)
	}) || o.Nonce && strings.EqualFold(name, "nonce")
}

// authorizationRequest checks what changes the authorization request.
func (c *oauthCheck) authorizationRequest(o *OAuth2) {
	c.authorizationURL(o)
	if o.PKCE != nil && !*o.PKCE && o.ClientID != "" && o.ClientSecret == "" {
		c.check.invalid("auth.oauth2.pkce", "cannot be false for a client without a secret")
	}
	if !slices.Contains([]string{"", "query", responseModeForm}, o.ResponseMode) {
		c.check.invalid("auth.oauth2.response_mode", "must be query or form_post, got %q", o.ResponseMode)
	}
	for path, text := range map[string]string{"response_type": o.ResponseType, "grant_type": o.GrantType} {
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			c.check.invalid("auth.oauth2."+path, "must consist of printable ASCII characters")
		}
	}
	for _, at := range o.ScopeIn {
		if at != ScopeInCode && at != ScopeInRefresh {
			c.check.invalid("auth.oauth2.scope_in", "can hold code and refresh, got %q", at)
		}
	}
	for _, scope := range slices.Concat(o.Scopes, o.OptionalScopes) {
		c.publicTemplate("auth.oauth2.scopes", scope)
	}
}

// publicTemplate checks a template that browsers see: it cannot name secrets.
func (c *oauthCheck) publicTemplate(path, source string, roots ...string) {
	c.check.templateWith(path, source, roots...)
	for _, field := range templateFields(source) {
		if config := c.check.connector.Config; config != nil && config.AllowsField(field) && config.IsSecret(field) {
			c.check.invalid(path, "names the config field %q, which is a secret: browsers see it", field)
		}
	}
}

// requestHeaders checks the headers of a request, as templates.
func (c *oauthCheck) requestHeaders(path string, headers map[string]string, allowed namedFields) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if !headerName.MatchString(name) || slices.Contains([]string{"Host", "Content-Length"}, http.CanonicalHeaderKey(name)) {
			c.check.invalid(path+"."+name, "is not the name of a header that can be set")
		}
		c.check.appTemplate(path+"."+name, headers[name], allowed)
	}
}

// endpointRequest checks the request of an endpoint.
func (c *oauthCheck) endpointRequest(path, to string, r *EndpointRequest, allowed namedFields) {
	if r == nil {
		return
	}
	if to == "" {
		c.check.invalid(path, "needs %s_url", path)
	}
	if !slices.Contains([]string{"", http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, r.Method) {
		c.check.invalid(path+".method", "must be GET, POST, PUT, PATCH or DELETE, got %q", r.Method)
	}
	if !slices.Contains(requestAuths, r.Auth) {
		c.check.invalid(path+".auth", "must be one of %s, got %q", joined(requestAuths[1:]), r.Auth)
	} else if r.Auth == RequestAuthClient && !allowed.appSecret {
		c.check.invalid(path+".auth", "cannot be client: the client's secret is sent to the token endpoint, and to that of a revocation, only")
	}
	if r.Body != nil && r.BodyForm != nil {
		c.check.invalid(path, "can have body or body_form, not both")
	}
	c.requestHeaders(path+".headers", r.Headers, allowed)
	for _, at := range slices.Sorted(maps.Keys(r.templates())) {
		if !strings.HasPrefix(at, "headers.") {
			c.check.appTemplate(path+"."+at, r.templates()[at], allowed)
		}
	}
}

// installation checks how tokens of installations are requested.
func (c *oauthCheck) installation(o *OAuth2) {
	const path = "auth.oauth2.installation"
	own := o.Installation
	if own == nil {
		return
	}
	if c.check.connector.Auth.Kind != AuthOAuth2 {
		c.check.invalid(path, "cannot be used with the kind %s", c.check.connector.Auth.Kind)
	}
	if len(o.Companions) > 0 || o.Exchange != nil || o.Renewal != nil || o.Family != "" {
		c.check.invalid(path, "cannot be combined with companions, exchange, renewal or family")
	}
	from, name, _ := strings.Cut(own.ID, ".")
	switch {
	case (own.Param == "") == (own.ID == ""):
		c.check.invalid(path, "needs one of param and id")
	case own.ID != "" && (name == "" || from != "token" && from != "id_token"):
		c.check.invalid(path+".id", "must be token. or id_token. and a name, got %q", own.ID)
	case own.ID == "" && o.ResourcesURL == "":
		c.check.invalid(path+".param", "is an id that any browser can send, who would then get another tenant's token: set resources_url, where the user's token lists its installations")
	}
	if own.TokenURL == "" {
		c.check.invalid(path+".token_url", "is required")
	}
	as, ok := c.check.connector.Installed("x")
	if !ok {
		return
	}
	problems := &definitionCheck{connector: as}
	check := &oauthCheck{problems}
	check.endpoint("token_url", as.Auth.OAuth2.TokenURL, namedFields{})
	check.oauthClient(as.Auth.OAuth2)
	check.assertion(as.Auth.OAuth2)
	check.tokenBody(as.Auth.OAuth2)
	for name, t := range own.TokenParams {
		problems.appTemplate("token_params."+name, t, namedFields{app: true, appSecret: true})
		if check.setByFlow(o, name) {
			problems.invalid("token_params."+name, "is set by the flow itself")
		}
	}
	if own.Mint != nil && slices.Contains(reservedParams, own.Mint.AssertionParam) {
		problems.invalid("mint.assertion_param", "is set by the flow itself")
	}
	for at, t := range map[string]string{"client_id": own.ClientID, "client_secret": own.ClientSecret} {
		problems.appTemplate(at, t, namedFields{app: true, appSecret: true})
	}
	for _, problem := range problems.problems {
		c.check.invalid(path+"."+strings.TrimPrefix(problem.Path, "auth.oauth2."), "%s", problem.Message)
	}
}
