package webhook

import (
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// conditions are compiled webhooks.Match values; all have to hold.
type conditions []condition

type condition struct {
	ref   reference
	match webhooks.Match
}

func compileConditions(matches []webhooks.Match) conditions {
	var cs conditions
	for _, m := range matches {
		cs = append(cs, condition{ref: compileFrom(m.From), match: m})
	}
	return cs
}

func (cs conditions) hold(v *view) bool {
	for i := range cs {
		if !cs[i].holds(v) {
			return false
		}
	}
	return true
}

func (c *condition) holds(v *view) bool {
	if c.match.Empty && c.ref.kind == refBodyPath {
		return v.document().find(c.ref.path).empty()
	}
	switch {
	case c.match.Present:
		return c.there(v)
	case c.match.Absent:
		return !c.there(v)
	}
	value, ok := v.single(c.ref)
	switch {
	case !ok:
		return false
	case c.match.Empty:
		return value == ""
	case c.match.Equals != "":
		return value == c.match.Equals
	}
	return c.match.Prefix != "" && strings.HasPrefix(value, c.match.Prefix)
}

// there counts objects and arrays of a body too; an empty text is not there.
func (c *condition) there(v *view) bool {
	if c.ref.kind == refBodyPath {
		d := v.document().find(c.ref.path)
		return len(d) > 0 && d[0] != 'n' && !d.empty()
	}
	if c.ref.kind == refBody {
		return len(v.request.Body) > 0
	}
	value, count := v.lookup(c.ref)
	return count > 0 && value != ""
}
