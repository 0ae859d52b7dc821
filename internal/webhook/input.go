package webhook

import (
	"iter"
	"maps"
	"mime"
	"net/url"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/internal/jsondoc"
)

// input is what references are looked up in: one request, whose body is parsed
// once and on demand, and the values of the verification in progress. Not for
// concurrent use.
type input struct {
	engine  *Engine
	request Request
	// strict makes a repeated header or parameter absent, wherever it decides
	// about a signature: two readers could pick different ones.
	strict bool

	form           url.Values
	formParsed     bool
	json           jsondoc.Value
	documentParsed bool

	element   jsondoc.Value // the one that is verified, of a body with many
	timestamp string
	secret    string
	hmac      string
}

// lookup returns the first value of the reference, and how many there are.
func (in *input) lookup(r reference) (value string, count int) {
	switch r.kind {
	case refBody:
		return string(in.request.Body), 1
	case refBodyPath:
		return present(scalar(in.document().Find(r.path...)))
	case refElementPath:
		return present(scalar(in.element.Find(r.path...)))
	case refHeader:
		return first(in.request.Header[r.name])
	case refQuery:
		return first(in.request.Query[r.name])
	case refFormField:
		return first(in.formValues()[r.name])
	case refForm:
		// Absent for a body that is no form: nothing of it would be signed.
		form := in.formValues()
		return present(joinForm(form), form != nil || len(in.request.Body) == 0)
	case refMethod:
		return in.request.Method, 1
	case refURL:
		return publicURL(in.request.PublicURL, r.name), 1
	case refTimestamp:
		return present(in.timestamp, in.timestamp != "")
	case refID:
		id := in.engine.extraction.id.text(in)
		return present(id, id != "")
	case refSecret:
		return present(in.secret, in.secret != "")
	case refHMAC:
		return present(in.hmac, in.hmac != "")
	}
	return "", 0
}

// single returns the value of the reference; false if it is absent, or repeated
// and the input is strict.
func (in *input) single(r reference) (string, bool) {
	value, count := in.lookup(r)
	if count == 0 || in.strict && count > 1 {
		return "", false
	}
	return value, true
}

// all yields every value of a reference: more than one only for a body path
// with the step *.
func (in *input) all(r reference) iter.Seq[string] {
	return func(yield func(string) bool) {
		if r.kind == refBodyPath && slices.Contains(r.path, "*") {
			findAll(in.document(), r.path, func(v jsondoc.Value) bool {
				text, ok := scalar(v)
				return !ok || yield(text)
			})
		} else if value, ok := in.single(r); ok {
			yield(value)
		}
	}
}

// findAll calls yield with the values at a path in which * stands for every
// element of an array, until it returns false.
func findAll(v jsondoc.Value, path []string, yield func(jsondoc.Value) bool) bool {
	star := slices.Index(path, "*")
	if star < 0 {
		return yield(v.Find(path...))
	}
	for _, element := range v.Find(path[:star]...).Elements() {
		if !findAll(element, path[star+1:], yield) {
			return false
		}
	}
	return true
}

func first(values []string) (string, int) {
	if len(values) == 0 {
		return "", 0
	}
	return values[0], len(values)
}

func present(value string, ok bool) (string, int) {
	if !ok {
		return "", 0
	}
	return value, 1
}

// scalar returns the value of a string, or the text of a number or boolean.
// Objects, arrays, null and absent values have none.
func scalar(v jsondoc.Value) (string, bool) {
	switch v.Kind() {
	case '"':
		return v.Unquote(), true
	case '0', 't', 'f':
		return string(v.Raw), true
	}
	return "", false
}

// document returns the payload as JSON, an absent value if it is none.
func (in *input) document() jsondoc.Value {
	if !in.documentParsed {
		in.documentParsed = true
		in.json, _ = jsondoc.Parse(jsondoc.TrimBOM(in.payload()))
	}
	return in.json
}

// formValues returns the parameters of a form body, nil if it is none.
func (in *input) formValues() url.Values {
	if !in.formParsed {
		in.formParsed = true
		if in.isForm() {
			// A pair that does not parse makes the whole form absent: half a form
			// must not verify.
			if form, err := url.ParseQuery(string(in.request.Body)); err == nil {
				in.form = form
			}
		}
	}
	return in.form
}

func (in *input) isForm() bool {
	mediaType, _, err := mime.ParseMediaType(in.request.Header.Get("Content-Type"))
	return err == nil && mediaType == "application/x-www-form-urlencoded"
}

// joinForm writes key and value of every parameter, sorted by key and value,
// equal ones once.
func joinForm(form url.Values) string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(form)) {
		for _, value := range slices.Compact(slices.Sorted(slices.Values(form[key]))) {
			b.WriteString(key)
			b.WriteString(value)
		}
	}
	return b.String()
}
