package manifest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/connectors/template"
)

// Bind compiles the templates and programs of a definition and makes them the handlers of
// its actions, and its Validate, where they have no code. All mistakes are in the error, a
// [schema.FieldErrors]. c must not be in use.
func Bind(c *connectors.Connector) error {
	b := &binder{connector: c}
	headers := b.texts("headers", c.Headers, "config", "connection")
	errors := b.rules("errors", c.Errors)
	for i := range c.Actions {
		a := &c.Actions[i]
		if a.Generic && a.Handler == nil {
			a.Handler = (&genericCall{headers: headers, rules: errors}).handle
		}
		if a.Request == nil || a.Handler != nil {
			continue
		}
		path := "actions." + a.Key
		call := &actionCall{
			headers: headers,
			request: b.request(path+".request", a.Request, a.Input, "input", "config", "connection", "call"),
			pages:   b.paginate(path+".paginate", a.Paginate),
			rules:   append(b.rules(path+".errors", a.Errors), errors...),
			output:  b.program(path+".output", a.OutputProgram),
			key:     b.idempotencyKey(path+".idempotency_key", a.IdempotencyKey),
		}
		a.Handler = call.handle
	}
	b.validate(headers, errors)
	b.subscription(headers, errors)
	if len(b.problems) > 0 {
		return b.problems
	}
	return nil
}

// binder collects the mistakes of a definition.
type binder struct {
	connector *connectors.Connector
	problems  schema.FieldErrors
}

func (b *binder) invalid(path, format string, args ...any) {
	b.problems = append(b.problems, schema.FieldError{Path: path, Message: fmt.Sprintf(format, args...)})
}

// validate makes Health and Learn the connector's Validate.
func (b *binder) validate(headers map[string]template.Template, rules []rule) {
	c := b.connector
	probe := &probe{headers: headers, rules: rules}
	if c.Health != nil {
		probe.health = b.request("health", c.Health, nil, "config", "connection")
	}
	if c.Learn != nil {
		probe.learn = b.request("learn.request", &c.Learn.Request, nil, "config", "connection")
		probe.fields = map[string]*program{}
		for field, source := range c.Learn.Config {
			path := "learn.config." + field
			if c.Config != nil && !c.Config.AllowsField(field) {
				b.invalid(path, "names the config field %q, which does not exist", field)
			}
			probe.fields[field] = b.required(path, source)
		}
	}
	if c.Health != nil || c.Learn != nil {
		connectors.UseProbe(c, probe.validate)
	}
}

// request compiles a request whose placeholders may have the given roots.
func (b *binder) request(path string, r *connectors.Request, input *schema.Schema, roots ...string) *request {
	compiled := &request{method: r.Method, headers: b.texts(path+".headers", r.Headers, roots...)}
	if compiled.method == "" {
		compiled.method = http.MethodGet
	}
	if b.connector.BaseURL == "" && r.URL == "" {
		b.invalid(path, "needs the connector's base_url, or a url of its own")
	}
	switch {
	case r.URL != "" && r.Path != "":
		b.invalid(path, "has url and path: only one is possible")
	case r.URL != "":
		compiled.whole, compiled.url = true, b.template(path+".url", r.URL, input, roots)
		if !strings.HasPrefix(r.URL, "https://") && !strings.HasPrefix(r.URL, "http://") {
			b.invalid(path+".url", "must begin with https:// or http://")
		}
	default:
		compiled.url = b.template(path+".path", r.Path, input, roots)
		if r.Path != "" && !strings.HasPrefix(r.Path, "/") || strings.ContainsAny(r.Path, "?#") {
			b.invalid(path+".path", "must begin with / and have no query or fragment: use query")
		}
	}
	if r.Body != nil && r.BodyForm != nil {
		b.invalid(path, "has body and body_form: only one is possible")
	}
	if (r.Body != nil || r.BodyForm != nil) && (compiled.method == http.MethodGet || compiled.method == http.MethodHead) {
		b.invalid(path+".method", "is %s, which has no body", compiled.method)
	}
	compiled.query = b.node(path+".query", asAny(r.Query), input, roots)
	compiled.body = b.node(path+".body", r.Body, input, roots)
	compiled.form = b.node(path+".body_form", asAny(r.BodyForm), input, roots)
	return compiled
}

// asAny keeps a nil map nil.
func asAny(m map[string]any) any {
	if m == nil {
		return nil
	}
	return m
}

// node compiles the templates of a JSON value.
func (b *binder) node(path string, value any, input *schema.Schema, roots []string) node {
	switch v := value.(type) {
	case string:
		return b.template(path, v, input, roots)
	case map[string]any:
		object := make(map[string]node, len(v))
		for name, below := range v {
			object[name] = b.node(join(path, name), below, input, roots)
		}
		return object
	case []any:
		list := make([]node, len(v))
		for i, below := range v {
			list[i] = b.node(join(path, strconv.Itoa(i)), below, input, roots)
		}
		return list
	}
	return value
}

// template compiles a template and checks what its placeholders name.
func (b *binder) template(path, source string, input *schema.Schema, roots []string) template.Template {
	t, err := template.Parse(source)
	if err != nil {
		b.invalid(path, "%v", err)
	}
	for _, ref := range t.Refs() {
		switch {
		case !slices.Contains(roots, ref.Root):
			b.invalid(path, "names ${%s}: possible here are %s", ref, strings.Join(roots, ", "))
		case ref.Root == "webhook" || ref.Root == "subscription":
			b.subscriptionRef(path, ref)
		case ref.Root == "input" && input != nil && ref.Path != "" && !input.AllowsField(ref.Path):
			b.invalid(path, "names the input field %q, which does not exist", ref.Path)
		case ref.Root == "config" && b.connector.Config != nil && ref.Path != "" && !b.connector.Config.AllowsField(ref.Path):
			b.invalid(path, "names the config field %q, which does not exist", ref.Path)
		}
	}
	return t
}

func (b *binder) texts(path string, sources map[string]string, roots ...string) map[string]template.Template {
	all := make(map[string]template.Template, len(sources))
	for name, source := range sources {
		all[name] = b.template(join(path, name), source, nil, roots)
	}
	return all
}

func (b *binder) program(path, source string) *program {
	p, err := compileProgram(source)
	if err != nil {
		b.invalid(path, "%v", err)
	}
	return p
}

// required is program of one that cannot be left out.
func (b *binder) required(path, source string) *program {
	if source == "" {
		b.invalid(path, "is required")
	}
	return b.program(path, source)
}

func (b *binder) rules(path string, rules []connectors.ErrorRule) []rule {
	all := make([]rule, len(rules))
	for i, r := range rules {
		at := join(path, strconv.Itoa(i))
		all[i] = rule{
			when: b.required(at+".when", r.When), code: r.Code, message: b.program(at+".message", r.Message),
			retry: r.Retry, after: b.program(at+".retry_after", r.RetryAfter),
		}
		if r.Code != "" && !r.Code.Known() {
			b.invalid(at+".code", "is not an error code")
		}
	}
	return all
}

func (b *binder) paginate(path string, p *connectors.Paginate) *pages {
	if p == nil {
		return nil
	}
	compiled := &pages{Paginate: *p, next: b.program(path+".next", p.Next), items: b.required(path+".items", p.Items)}
	if p.By == "cursor" && p.Next == "" {
		b.invalid(path+".next", "is required by a cursor")
	}
	if p.By != "link" && p.Param == "" {
		b.invalid(path+".param", "is required by %s", p.By)
	}
	if compiled.MaxPages == 0 {
		compiled.MaxPages = 10
	}
	return compiled
}

func (b *binder) idempotencyKey(path string, k *connectors.IdempotencyKey) *connectors.IdempotencyKey {
	if k == nil {
		return nil
	}
	given := slices.DeleteFunc([]string{k.Header, k.Query, k.Body}, func(name string) bool { return name == "" })
	if len(given) != 1 {
		b.invalid(path, "needs one of header, query and body")
	}
	return k
}
