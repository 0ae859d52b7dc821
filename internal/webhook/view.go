package webhook

import (
	"iter"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// Request is one call of a provider. The caller fills every field; nothing
// here writes to it.
type Request = webhooks.Request

// view is a request while it is being looked at: what has to be parsed is
// parsed once, and only when something asks. Not for concurrent use.
type view struct {
	engine  *Engine
	request Request
	// strict makes a repeated header or parameter absent, wherever it decides
	// about a signature: two readers could pick different ones.
	strict bool

	form       url.Values
	formParsed bool
	doc        document
	docParsed  bool

	// What belongs to the verification under way.
	each      document
	timestamp string
	secret    string
	hmac      string
}

// reference is a compiled webhooks.Reference.
type reference struct {
	kind refKind
	name string
	path []string
}

type refKind uint8

const (
	refBody refKind = iota
	refBodyPath
	refEachPath
	refHeader
	refQuery
	refForm
	refFormField
	refMethod
	refURL
	refTimestamp
	refID
	refSecret
	refHMAC
)

func compileReference(r webhooks.Reference) reference {
	switch r.Kind {
	case "body":
		if r.Name == "" {
			return reference{kind: refBody}
		}
		return reference{kind: refBodyPath, path: strings.Split(r.Name, ".")}
	case "each":
		return reference{kind: refEachPath, path: strings.Split(r.Name, ".")}
	case "header":
		return reference{kind: refHeader, name: http.CanonicalHeaderKey(r.Name)}
	case "query":
		return reference{kind: refQuery, name: r.Name}
	case "form":
		if r.Name == "" {
			return reference{kind: refForm}
		}
		return reference{kind: refFormField, name: r.Name}
	case "method":
		return reference{kind: refMethod}
	case "url":
		return reference{kind: refURL, name: r.Name}
	case "timestamp":
		return reference{kind: refTimestamp}
	case "id":
		return reference{kind: refID}
	case "secret":
		return reference{kind: refSecret}
	}
	return reference{kind: refHMAC}
}

// compileFrom compiles a reference that Check has accepted.
func compileFrom(from string) reference {
	r, _ := webhooks.ParseReference(from)
	return compileReference(r)
}

// lookup returns the value and how often it is there: 0 is absent, above 1
// repeated. A strict view counts a repeated value as absent for templates.
func (v *view) lookup(r reference) (value string, count int) {
	switch r.kind {
	case refBody:
		return string(v.request.Body), 1
	case refBodyPath:
		return scalar(v.document().find(r.path))
	case refEachPath:
		return scalar(v.each.find(r.path))
	case refHeader:
		return first(v.request.Header[r.name])
	case refQuery:
		return first(v.request.Query[r.name])
	case refFormField:
		return first(v.formValues()[r.name])
	case refForm:
		// Of another body nothing would be signed.
		form := v.formValues()
		if form == nil && len(v.request.Body) > 0 {
			return "", 0
		}
		return joinForm(form), 1
	case refMethod:
		return v.request.Method, 1
	case refURL:
		return publicURL(v.request.PublicURL, r.name), 1
	case refTimestamp:
		return present(v.timestamp)
	case refID:
		return present(v.engine.delivery.id.text(v))
	case refSecret:
		return present(v.secret)
	case refHMAC:
		return present(v.hmac)
	}
	return "", 0
}

// single is lookup for what has to be unambiguous.
func (v *view) single(r reference) (string, bool) {
	value, count := v.lookup(r)
	if count == 0 || v.strict && count > 1 {
		return "", false
	}
	return value, true
}

// all yields every value of a reference: more than one only for a body path
// with the step *.
func (v *view) all(r reference) iter.Seq[string] {
	return func(yield func(string) bool) {
		if r.kind != refBodyPath || !slices.Contains(r.path, "*") {
			if value, ok := v.single(r); ok {
				yield(value)
			}
			return
		}
		for found := range v.document().every(r.path) {
			if text, ok := found.text(); ok && !yield(text) {
				return
			}
		}
	}
}

func first(values []string) (string, int) {
	if len(values) == 0 {
		return "", 0
	}
	return values[0], len(values)
}

func present(s string) (string, int) {
	if s == "" {
		return "", 0
	}
	return s, 1
}

func scalar(d document) (string, int) {
	s, ok := d.text()
	if !ok {
		return "", 0
	}
	return s, 1
}

// document is the JSON that body paths look into: the body, or the form field
// that holds it.
func (v *view) document() document {
	if !v.docParsed {
		v.docParsed = true
		if v.engine.payload != "" && v.isForm() {
			if field, n := first(v.formValues()[v.engine.payload]); n == 1 {
				v.doc = parseDocument([]byte(field))
			}
		} else {
			v.doc = parseDocument(v.request.Body)
		}
	}
	return v.doc
}

func (v *view) isForm() bool {
	kind, _, err := mime.ParseMediaType(v.request.Header.Get("Content-Type"))
	return err == nil && kind == "application/x-www-form-urlencoded"
}

func (v *view) formValues() url.Values {
	if !v.formParsed {
		v.formParsed = true
		if v.isForm() {
			// A pair that does not parse makes the whole form absent: half a form
			// must not verify.
			if form, err := url.ParseQuery(string(v.request.Body)); err == nil {
				v.form = form
			}
		}
	}
	return v.form
}

// joinForm writes key+value of every parameter, keys sorted, the values of a
// repeated key sorted and once each.
func joinForm(form url.Values) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(form)) {
		values := slices.Compact(slices.Sorted(slices.Values(form[key])))
		for _, value := range values {
			b.WriteString(key)
			b.WriteString(value)
		}
	}
	return b.String()
}

func publicURL(address, variant string) string {
	switch variant {
	case "decoded":
		return decodeReserved.Replace(address)
	case "port", "noport":
		u, err := url.Parse(address)
		if err != nil {
			return address
		}
		host, rest, found := strings.Cut(address, u.Host)
		if !found || u.Host == "" {
			return address
		}
		name := strings.TrimSuffix(u.Host, ":"+u.Port())
		if variant == "noport" {
			return host + name + rest
		}
		port := map[string]string{"https": "443", "http": "80"}[u.Scheme]
		if u.Port() != "" || port == "" {
			return address
		}
		return host + name + ":" + port + rest
	}
	return address
}

// decodeReserved is the table of percent-encoded characters that providers
// which sign the decoded address undo; everything else stays as it came.
var decodeReserved = strings.NewReplacer(
	"%3A", ":", "%2F", "/", "%3F", "?", "%40", "@", "%21", "!", "%24", "$", "%27", "'",
	"%28", "(", "%29", ")", "%2A", "*", "%2C", ",", "%3B", ";",
	"%3a", ":", "%2f", "/", "%3f", "?", "%2a", "*", "%2c", ",", "%3b", ";",
)
