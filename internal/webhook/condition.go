package webhook

import (
	"bytes"
	"strings"

	"github.com/hawser-io/hawser/internal/jsondoc"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// conditions are compiled webhooks.Match values. All have to match.
type conditions []condition

type condition struct {
	ref  reference
	want webhooks.Match
}

func compileConditions(matches []webhooks.Match) conditions {
	var cs conditions
	for _, m := range matches {
		cs = append(cs, condition{ref: compileReference(m.From), want: m})
	}
	return cs
}

func (cs conditions) match(in *input) bool {
	for i := range cs {
		if !cs[i].matches(in) {
			return false
		}
	}
	return true
}

func (c *condition) matches(in *input) bool {
	switch {
	case c.want.Empty && c.ref.kind == refBodyPath:
		return isEmpty(in.document().Find(c.ref.path...))
	case c.want.Present:
		return c.isPresent(in)
	case c.want.Absent:
		return !c.isPresent(in)
	}
	value, ok := in.single(c.ref)
	switch {
	case !ok:
		return false
	case c.want.Empty:
		return value == ""
	case c.want.Equals != "":
		return value == c.want.Equals
	}
	return c.want.Prefix != "" && strings.HasPrefix(value, c.want.Prefix)
}

// isPresent reports whether there is a value that is not empty. In a JSON body,
// objects and arrays are values too.
func (c *condition) isPresent(in *input) bool {
	switch c.ref.kind {
	case refBodyPath:
		v := in.document().Find(c.ref.path...)
		return v.Kind() != 0 && v.Kind() != 'n' && !isEmpty(v)
	case refBody:
		return len(in.request.Body) > 0
	}
	value, _ := in.lookup(c.ref)
	return value != ""
}

// isEmpty reports whether the value is "", [] or {}.
func isEmpty(v jsondoc.Value) bool {
	switch v.Kind() {
	case '"':
		return len(v.Raw) == 2
	case '[', '{':
		return len(bytes.TrimSpace(v.Raw[1:len(v.Raw)-1])) == 0
	}
	return false
}
