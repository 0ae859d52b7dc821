package connectors

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

func (c *definitionCheck) auth() {
	a := &c.connector.Auth
	if c.connector.BaseURL != "" {
		c.url("base_url", c.connector.BaseURL)
	}
	if a.Kind == "" {
		a.Kind = AuthNone
	}
	names := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		path, canonical := "auth.headers."+name, http.CanonicalHeaderKey(name)
		if names[canonical] {
			c.invalid(path, "occurs twice, in different spellings")
		}
		names[canonical] = true
		if !headerName.MatchString(name) || canonical == "Host" {
			c.invalid(path, "is not the name of a header that can be set")
		}
		c.authTemplate(path, a.Headers[name])
	}
	for _, name := range slices.Sorted(maps.Keys(a.Query)) {
		if name == "" {
			c.invalid("auth.query", "has a parameter without a name")
		}
		c.authTemplate("auth.query."+name, a.Query[name])
	}
	c.template("auth.username", a.Username)
	c.template("auth.password", a.Password)
	c.authKind()
	if names["Authorization"] && slices.Contains([]AuthKind{AuthBasic, AuthOAuth2, AuthClientCredentials}, a.Kind) {
		c.invalid("auth.headers.Authorization", "is set by the kind %s itself", a.Kind)
	}
}

// authTemplate checks the template of a header or parameter of requests to the API. With
// OAuth it may name the operator's client.
func (c *definitionCheck) authTemplate(path, source string) {
	c.appTemplate(path, source, namedFields{app: c.connector.Auth.OAuth2 != nil})
}

// authKind checks that Auth has the parts that its kind needs, and no others.
func (c *definitionCheck) authKind() {
	a := &c.connector.Auth
	switch a.Kind {
	case AuthNone:
	case AuthAPIKey, AuthMapped:
		if !usesConfig(a.Headers) && !usesConfig(a.Query) {
			c.invalid("auth", "of kind %s needs a header or query parameter that contains ${config.…}", a.Kind)
		}
		c.requireBaseURL("credentials")
	case AuthBasic:
		if !strings.Contains(a.Username+a.Password, fieldMark) {
			c.invalid("auth", "of kind basic needs a username or password that contains ${config.…}")
		}
		c.requireBaseURL("credentials")
	case AuthOAuth2, AuthClientCredentials:
		(&oauthCheck{c}).oauth()
	default:
		c.invalid("auth.kind", "is unknown: %q", a.Kind)
	}
	if a.Kind != AuthBasic && a.Username+a.Password != "" {
		c.invalid("auth", "has a username or password, which only the kind basic uses")
	}
	if a.Kind != AuthOAuth2 && a.Kind != AuthClientCredentials && a.OAuth2 != nil {
		c.invalid("auth.oauth2", "cannot be used with the kind %s", a.Kind)
	}
}

func (c *definitionCheck) requireBaseURL(what string) {
	if c.connector.BaseURL == "" {
		c.invalid("base_url", "is required: %s are sent to its host only", what)
	}
}

// usesConfig reports whether a template names a field of the config.
func usesConfig(templates map[string]string) bool {
	for _, t := range templates {
		if strings.Contains(t, fieldMark) {
			return true
		}
	}
	return false
}

func (c *definitionCheck) rateLimit() {
	r := c.connector.RateLimit
	if r == nil {
		return
	}
	for _, status := range r.Statuses {
		if status < 400 || status > 599 {
			c.invalid("rate_limit.statuses", "must be between 400 and 599, got %d", status)
		}
	}
	if text, err := regexp.Compile(r.Text); err != nil || len(r.Text) > maxTemplate {
		c.invalid("rate_limit.text", "is not a regular expression (RE2) of at most %d bytes", maxTemplate)
	} else if text.NumSubexp() > 1 {
		c.invalid("rate_limit.text", "must have at most one group: the time of the next attempt")
	}
	if len(r.Windows) > 8 {
		c.invalid("rate_limit.windows", "must have at most 8 items")
	}
	for i, w := range r.Windows {
		path := fmt.Sprintf("rate_limit.windows.%d", i)
		if !headerName.MatchString(w.Reset) {
			c.invalid(path+".reset", "is not the name of a header")
		}
		if w.Remaining != "" && !headerName.MatchString(w.Remaining) {
			c.invalid(path+".remaining", "is not the name of a header")
		}
		if !slices.Contains(resetForms, w.Form) {
			c.invalid(path+".form", "is unknown: %q", w.Form)
		}
	}
}
