package connectors

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// An inspection collects everything that is wrong with a connector's definition,
// so that its author sees all of it at once. The first finding's code is the code
// of the whole.
type inspection struct {
	connector *Connector
	code      Code
	found     []schema.FieldError
}

func (in *inspection) fail(code Code, path, format string, args ...any) {
	if in.code == "" {
		in.code = code
	}
	in.found = append(in.found, schema.FieldError{Path: path, Message: fmt.Sprintf(format, args...)})
}

// bad is for what has no code of its own: a mistake of the program.
func (in *inspection) bad(path, format string, args ...any) {
	in.fail(CodeInternal, path, format, args...)
}

var (
	connectorKey = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)
	actionKey    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)
	version      = regexp.MustCompile(`^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})` +
		`(-(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*)?` +
		`(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)
)

// inspect checks a definition and fills in its defaults. With code, functions that
// the connector cannot work without have to be there.
func inspect(c *Connector, code bool) error {
	in := inspection{connector: c}
	if c.Version == "" {
		c.Version = defaultVersion
	}
	if c.Config == nil {
		in.fail(CodeConnectorBuildConfigRequired, "config", "is required")
	}
	if !connectorKey.MatchString(c.Key) {
		in.bad("key", "must be [a-z][a-z0-9-]*, at most 64 bytes, got %q", c.Key)
	}
	if !version.MatchString(c.Version) || len(c.Version) > 64 {
		in.bad("version", "must be a semantic version, got %q", c.Version)
	}
	in.config(code)
	in.auth()
	in.rateLimit()
	in.actions(code)
	in.webhook()
	if len(in.found) == 0 {
		return nil
	}
	slices.SortStableFunc(in.found, func(a, b schema.FieldError) int { return strings.Compare(a.Path, b.Path) })
	e := Errorf(in.code, "connector %q: %s", c.Key, schema.FieldErrors(in.found))
	e.Errors = in.found
	return e
}

func (in *inspection) config(code bool) {
	c := in.connector
	if c.Config == nil {
		return
	}
	if !c.Config.IsObject() {
		in.bad("config", "must be the schema of an object")
	}
	for _, path := range c.Config.SecretPaths() {
		if path == "" {
			in.bad("config", "cannot be a secret as a whole: mark its fields")
		}
	}
	if field := c.Config.SecretDefault(); field != "" {
		in.bad("config."+field, "is a secret and cannot have a default: schemas are public")
	}
	if c.DefaultConfig == nil {
		return
	}
	if !code {
		return // a definition comes without its secrets, so it need not be complete
	}
	normal, wrong := c.Config.Validate(c.DefaultConfig)
	for _, w := range wrong {
		in.fail(CodeConnectorConfigInvalid, strings.TrimSuffix("default_config."+w.Path, "."), "%s", w.Message)
	}
	c.DefaultConfig = normal
}

func (in *inspection) auth() {
	c, a := in.connector, &in.connector.Auth
	if c.BaseURL != "" {
		in.url("base_url", c.BaseURL)
	}
	if a.Kind == "" {
		a.Kind = AuthNone
	}
	names := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		path := "auth.headers." + name
		if canonical := http.CanonicalHeaderKey(name); names[canonical] {
			in.bad(path, "is there twice, in different spellings")
		} else {
			names[canonical] = true
		}
		if !headerName.MatchString(name) || strings.EqualFold(name, "Host") {
			in.bad(path, "is not the name of a header that can be set")
		}
		in.template(path, a.Headers[name])
	}
	for _, name := range slices.Sorted(maps.Keys(a.Query)) {
		if name == "" {
			in.bad("auth.query", "has a parameter without a name")
		}
		in.template("auth.query."+name, a.Query[name])
	}
	in.template("auth.username", a.Username)
	in.template("auth.password", a.Password)
	in.kind(names)
}

// kind checks that the parts of Auth are those that its kind needs.
func (in *inspection) kind(headers map[string]bool) {
	a := &in.connector.Auth
	uses := func(templates ...string) bool {
		return slices.ContainsFunc(templates, func(t string) bool { return strings.Contains(t, fieldMark) })
	}
	carried := uses(slices.Collect(maps.Values(a.Headers))...) || uses(slices.Collect(maps.Values(a.Query))...)
	oauth := false
	switch a.Kind {
	case AuthNone:
	case AuthAPIKey, AuthMapped:
		if !carried {
			in.bad("auth", "of kind %s needs a header or query parameter made of ${config.…}", a.Kind)
		}
		if in.connector.BaseURL == "" {
			in.bad("base_url", "is required: credentials are sent to its host only")
		}
	case AuthBasic:
		if !uses(a.Username, a.Password) {
			in.bad("auth", "of kind basic needs a username or password made of ${config.…}")
		}
		if in.connector.BaseURL == "" {
			in.bad("base_url", "is required: credentials are sent to its host only")
		}
	case AuthOAuth2, AuthClientCredentials:
		oauth = true
		in.oauth()
	default:
		in.bad("auth.kind", "is unknown: %q", a.Kind)
	}
	if headers["Authorization"] && (oauth || a.Kind == AuthBasic) {
		in.bad("auth.headers.Authorization", "is made by the kind %s itself", a.Kind)
	}
	if a.Kind != AuthBasic && a.Username+a.Password != "" {
		in.bad("auth", "has a username or password, which only the kind basic uses")
	}
	if !oauth && a.OAuth2 != nil {
		in.bad("auth.oauth2", "is there, but the kind is %s", a.Kind)
	}
}

// reservedParams belong to the flow: a definition that could set them could switch
// its protections off.
var reservedParams = []string{
	"client_id", "client_secret", "redirect_uri", "response_type", "response_mode", "state", "scope",
	"code_challenge", "code_challenge_method",
	"grant_type", "code", "code_verifier", "refresh_token",
	"client_assertion", "client_assertion_type",
}

func (in *inspection) oauth() {
	o := in.connector.Auth.OAuth2
	if o == nil {
		in.fail(CodeConnectorOAuthNotConfigured, "auth.oauth2", "is required")
		return
	}
	if in.connector.BaseURL == "" {
		in.bad("base_url", "is required: tokens are sent to its host only")
	}
	if o.TokenURL == "" {
		in.fail(CodeConnectorOAuthNotConfigured, "auth.oauth2.token_url", "is required")
	}
	if o.AuthorizationURL == "" && in.connector.Auth.Kind == AuthOAuth2 {
		in.fail(CodeConnectorOAuthNotConfigured, "auth.oauth2.authorization_url", "is required")
	}
	for path, u := range map[string]string{
		"authorization_url": o.AuthorizationURL, "token_url": o.TokenURL,
		"revocation_url": o.RevocationURL, "userinfo_url": o.UserInfoURL,
		"refresh_url": o.RefreshURL, "resources_url": o.ResourcesURL,
	} {
		if u != "" {
			in.url("auth.oauth2."+path, u)
		}
	}
	in.oauthClient(o)
	in.oauthParams(o)
	if in.connector.Auth.Kind != AuthOAuth2 && (o.Exchange != nil || o.Renewal != nil) {
		in.bad("auth.oauth2", "has an exchange or a renewal, but the kind is %s", in.connector.Auth.Kind)
	}
	in.exchange("auth.oauth2.exchange", o.Exchange, tokenAccess)
	in.exchange("auth.oauth2.renewal", o.Renewal, tokenAccess)
	in.companions(o)
	in.oauthMint(o)
	in.oauthOwner(o)
	in.oauthRecipients(o)
	if o.Repair != nil && o.Repair.GrantType == "" {
		in.bad("auth.oauth2.repair.grant_type", "is required")
	}
	if !slices.Contains(expiryForms, o.Expiry) {
		in.bad("auth.oauth2.expiry", "is unknown: %q", o.Expiry)
	}
	for field, source := range o.Metadata {
		from, name, _ := strings.Cut(source, ".")
		if name == "" || !slices.Contains([]string{"token", "query", "user", "resource"}, from) {
			in.bad("auth.oauth2.metadata."+field, "must be token., query., user. or resource. and a name")
		}
		in.field("auth.oauth2.metadata."+field, field)
	}
	if o.Family != "" && !connectorKey.MatchString(o.Family) {
		in.bad("auth.oauth2.family", "must be [a-z][a-z0-9-]*, got %q", o.Family)
	}
}

// oauthParams checks what is added to requests, and what parameters are called.
func (in *inspection) oauthParams(o *OAuth2) {
	in.oauthBody(o)
	// called returns the parameter, other than name, that the provider calls own.
	called := func(own, name string) string {
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
			in.bad(path, "is no parameter of the flow")
		case own == "" && !in.omissible(name):
			in.bad(path, "cannot be left out")
		case called(own, name) != "":
			in.bad(path, "is what %s is called", called(own, name))
		case strings.ContainsFunc(own, func(r rune) bool { return r <= ' ' || r == 0x7f }):
			in.bad(path, "must not contain blanks or control characters")
		}
	}
	for what, params := range map[string]map[string]string{"extra_params": o.ExtraParams, "token_params": o.TokenParams} {
		for name := range params {
			if called(name, "") != "" || slices.Contains(reservedParams, strings.ToLower(name)) {
				in.bad("auth.oauth2."+what+"."+name, "is set by the flow itself")
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.TokenParams)) {
		in.template("auth.oauth2.token_params."+name, o.TokenParams[name])
	}
}

// omissible reports whether a provider may not want the parameter. Without a user
// there is no flow that the others would protect.
func (in *inspection) omissible(name string) bool {
	return name == "response_type" || name == "scope" || in.connector.Auth.Kind == AuthClientCredentials &&
		slices.Contains([]string{"grant_type", "client_id", "client_secret"}, name)
}

// template checks a template and that the config has the fields that it names.
func (in *inspection) template(path, source string) {
	t, err := parseValueTemplate(source)
	if err != nil {
		in.bad(path, "%v", err)
		return
	}
	if strings.ContainsFunc(source, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		in.bad(path, "must not contain control characters")
	}
	for _, field := range t.fields() {
		in.field(path, field)
	}
}

// secrets checks a template that makes a secret: what it is made of is sealed.
func (in *inspection) secrets(path, source string) {
	in.template(path, source)
	if t, err := parseValueTemplate(source); err == nil {
		for _, field := range t.fields() {
			in.sealed(path, field)
		}
	}
}

// sealed checks that a field of the config is a secret, if it is there.
func (in *inspection) sealed(path, field string) {
	if config := in.connector.Config; config != nil && config.AllowsField(field) && !config.IsSecret(field) {
		in.bad(path, "names the config field %q, which is not marked secret", field)
	}
}

func (in *inspection) url(path, source string) {
	in.template(path, source)
	if err := checkURLTemplate(source); err != nil {
		in.bad(path, "%v", err)
	}
}

func (in *inspection) field(path, field string) {
	if in.connector.Config != nil && !in.connector.Config.AllowsField(field) {
		in.bad(path, "names the config field %q, which does not exist", field)
	}
}

// longestTimeout is far beyond what a worker should wait for one attempt.
const longestTimeout = time.Hour

func (in *inspection) actions(code bool) {
	seen := map[string]bool{}
	for i := range in.connector.Actions {
		a := &in.connector.Actions[i]
		path := "actions." + a.Key
		if !actionKey.MatchString(a.Key) {
			path = fmt.Sprintf("actions.%d", i)
			in.bad(path+".key", "must be [A-Za-z][A-Za-z0-9_-]*, at most 64 bytes, got %q", a.Key)
		}
		if seen[a.Key] {
			in.bad(path, "is there twice")
		}
		seen[a.Key] = true
		if a.Timeout == 0 {
			a.Timeout = defaultTimeout
		}
		if a.MaxAttempts == 0 {
			a.MaxAttempts = defaultMaxAttempts
		}
		if a.Timeout < 0 || a.Timeout > longestTimeout {
			in.bad(path+".timeout", "must be between 0 and %s, got %s", longestTimeout, a.Timeout)
		}
		if a.MaxAttempts < 0 || a.MaxAttempts > 100 {
			in.bad(path+".max_attempts", "must be between 0 and 100, got %d", a.MaxAttempts)
		}
		if code && a.Handler == nil {
			in.bad(path+".handler", "is missing")
		}
	}
}

func (in *inspection) webhook() {
	w := in.connector.Webhook
	if w == nil {
		return
	}
	if err := w.Check(); err != nil {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			path, what, _ := strings.Cut(line, ": ")
			in.bad("webhook."+path, "%s", what)
		}
	}
	if w.Timeout < 0 || w.MaxAttempts < 0 {
		in.bad("webhook", "timeout and max_attempts cannot be negative")
	}
	config := in.connector.Config
	if w.AccountField != "" && config != nil {
		in.field("webhook.account_field", w.AccountField)
	}
	if w.AccountField != "" && w.Delivery.Account != "" && !in.connector.provesAccount() {
		in.bad("webhook.account_field", "could be typed by anybody, who would then get another's webhooks: have Validate prove that the account in %q is the tenant's, or auth.oauth2.metadata fill it from token., user. or resource.", w.AccountField)
	}
	for path, field := range map[string]string{"webhook.secret_field": w.SecretField, "webhook.token_field": w.TokenField} {
		if field != "" {
			in.field(path, field)
			in.sealed(path, field)
		}
	}
}
