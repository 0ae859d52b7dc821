package connectors

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// A definitionCheck collects everything that is wrong with a connector's definition, so
// that its author sees all of it at once. The code of the first problem is the code of
// the whole.
type definitionCheck struct {
	connector *Connector
	code      Code
	problems  schema.FieldErrors
}

var (
	connectorKey = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)
	actionKey    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)
	version      = regexp.MustCompile(`^(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})` +
		`(-(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*))*)?` +
		`(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?$`)
)

// checkDefinition checks a definition and sets its defaults. With needsCode, functions
// that the connector cannot work without have to be present.
func checkDefinition(c *Connector, needsCode bool) error {
	check := &definitionCheck{connector: c}
	if c.Version == "" {
		c.Version = defaultVersion
	}
	if !connectorKey.MatchString(c.Key) {
		check.invalid("key", "must be [a-z][a-z0-9-]*, at most 64 bytes, got %q", c.Key)
	}
	if !version.MatchString(c.Version) || len(c.Version) > 64 {
		check.invalid("version", "must be a semantic version, got %q", c.Version)
	}
	check.config(needsCode)
	check.auth()
	check.rateLimit()
	check.actions(needsCode)
	check.webhook()
	if len(check.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(check.problems, func(a, b schema.FieldError) int { return strings.Compare(a.Path, b.Path) })
	e := Errorf(check.code, "connector %q: %s", c.Key, check.problems)
	e.Errors = check.problems
	return e
}

// report adds a problem.
func (c *definitionCheck) report(code Code, path, format string, args ...any) {
	if c.code == "" {
		c.code = code
	}
	c.problems = append(c.problems, schema.FieldError{Path: path, Message: fmt.Sprintf(format, args...)})
}

// invalid reports a problem that has no code of its own: a mistake in the definition.
func (c *definitionCheck) invalid(path, format string, args ...any) {
	c.report(CodeInternal, path, format, args...)
}

// template checks a template, and that the config has the fields that it names.
func (c *definitionCheck) template(path, source string) { c.templateWith(path, source) }

// templateWith is template for one that may name other objects than the config.
func (c *definitionCheck) templateWith(path, source string, roots ...string) {
	t, err := parseValueTemplate(source, roots...)
	if err != nil {
		c.invalid(path, "%v", err)
		return
	}
	if strings.ContainsFunc(source, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		c.invalid(path, "must not contain control characters")
	}
	for _, field := range t.fields() {
		c.field(path, field)
	}
}

// secretTemplate checks the template of a secret: its fields have to be secrets.
func (c *definitionCheck) secretTemplate(path, source string) {
	c.template(path, source)
	for _, field := range templateFields(source) {
		c.secretField(path, field)
	}
}

// url checks the template of a URL.
func (c *definitionCheck) url(path, source string) {
	c.template(path, source)
	if err := checkURLTemplate(source); err != nil {
		c.invalid(path, "%v", err)
	}
}

// field checks that the config can have the field.
func (c *definitionCheck) field(path, field string) {
	if c.connector.Config != nil && !c.connector.Config.AllowsField(field) {
		c.invalid(path, "names the config field %q, which does not exist", field)
	}
}

// secretField checks that the field, if the config can have it, is marked secret.
func (c *definitionCheck) secretField(path, field string) {
	if config := c.connector.Config; config != nil && config.AllowsField(field) && !config.IsSecret(field) {
		c.invalid(path, "names the config field %q, which is not marked secret", field)
	}
}

func (c *definitionCheck) config(needsCode bool) {
	config := c.connector.Config
	if config == nil {
		c.report(CodeConnectorBuildConfigRequired, "config", "is required")
		return
	}
	if !config.IsObject() {
		c.invalid("config", "must be the schema of an object")
	}
	if slices.Contains(config.SecretPaths(), "") {
		c.invalid("config", "cannot be a secret as a whole: mark its fields")
	}
	if field := config.SecretDefault(); field != "" {
		c.invalid("config."+field, "is a secret and cannot have a default: schemas are public")
	}
	if c.connector.DefaultConfig == nil || !needsCode {
		return // a parsed definition comes without secrets, so its default config may be incomplete
	}
	normal, wrong := config.Validate(c.connector.DefaultConfig)
	for _, w := range wrong {
		c.report(CodeConnectorConfigInvalid, strings.TrimSuffix("default_config."+w.Path, "."), "%s", w.Message)
	}
	c.connector.DefaultConfig = normal
}

// maxTimeout is the longest allowed timeout of one attempt.
const maxTimeout = time.Hour

func (c *definitionCheck) actions(needsCode bool) {
	seen := map[string]bool{}
	for i := range c.connector.Actions {
		a := &c.connector.Actions[i]
		path := "actions." + a.Key
		if !actionKey.MatchString(a.Key) {
			path = fmt.Sprintf("actions.%d", i)
			c.invalid(path+".key", "must be [A-Za-z][A-Za-z0-9_-]*, at most 64 bytes, got %q", a.Key)
		}
		if seen[a.Key] {
			c.invalid(path, "occurs twice")
		}
		seen[a.Key] = true
		if a.Timeout == 0 {
			a.Timeout = DefaultTimeout
		}
		if a.MaxAttempts == 0 {
			a.MaxAttempts = DefaultMaxAttempts
		}
		if a.Timeout < 0 || a.Timeout > maxTimeout {
			c.invalid(path+".timeout", "must be between 0 and %s, got %s", maxTimeout, a.Timeout)
		}
		if a.MaxAttempts < 0 || a.MaxAttempts > 100 {
			c.invalid(path+".max_attempts", "must be between 0 and 100, got %d", a.MaxAttempts)
		}
		if needsCode && a.Handler == nil {
			c.invalid(path+".handler", "is missing")
		}
	}
}

func (c *definitionCheck) webhook() {
	w := c.connector.Webhook
	if w == nil {
		return
	}
	problems, _ := errors.AsType[schema.FieldErrors](w.Check())
	for _, problem := range problems {
		c.invalid("webhook."+problem.Path, "%s", problem.Message)
	}
	if w.Timeout < 0 || w.MaxAttempts < 0 {
		c.invalid("webhook", "timeout and max_attempts cannot be negative")
	}
	if w.AccountField != "" {
		c.field("webhook.account_field", w.AccountField)
	}
	if w.AccountField != "" && w.Delivery.Account != "" && !c.connector.ProvesOwner() && !c.connector.AccountFromProvider() && !c.probesAccount(w.AccountField) {
		c.invalid("webhook.account_field", "can be set by any tenant, who would then receive another tenant's webhooks: "+
			"have auth.oauth2.metadata fill %q from token., user. or resource., have learn fill it, have the path of health contain it, or have code (Validate) prove that the account is the tenant's", w.AccountField)
	}
	for path, field := range map[string]string{"webhook.secret_field": w.SecretField, "webhook.token_field": w.TokenField} {
		if field != "" {
			c.field(path, field)
			c.secretField(path, field)
		}
	}
}

// probesAccount reports whether Health asks, with the tenant's own credentials, for the
// account that the config names. A client of the operator's may see every account.
func (c *definitionCheck) probesAccount(field string) bool {
	health, kind := c.connector.Health, c.connector.Auth.Kind
	return health != nil && kind != AuthNone && kind != AuthClientCredentials && strings.Contains(health.Path, "${config."+field+"}")
}
