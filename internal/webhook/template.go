package webhook

import (
	"io"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// template is a compiled webhooks.Template.
type template []part

// part is a literal, a placeholder or an optional group.
type part struct {
	literal string
	refs    []reference // alternatives of a placeholder
	strip   string      // prefix that the value must have, and that is removed
	group   template
}

// compileTemplate compiles a text that Check has accepted.
func compileTemplate(text string) template {
	parsed, _ := webhooks.ParseTemplate(text)
	return compileParts(parsed)
}

func compileParts(parts webhooks.Template) template {
	var t template
	for _, p := range parts {
		compiled := part{literal: p.Literal, strip: p.Strip, group: compileParts(p.Group)}
		for _, ref := range p.Refs {
			compiled.refs = append(compiled.refs, compileParsed(ref))
		}
		t = append(t, compiled)
	}
	return t
}

// uses reports whether the template has a reference of the kind.
func (t template) uses(kind refKind) bool {
	return slices.ContainsFunc(t, func(p part) bool {
		return p.group.uses(kind) || slices.ContainsFunc(p.refs, func(r reference) bool { return r.kind == kind })
	})
}

// writeTo writes the value of the template. False means that a placeholder
// outside of a group is absent. It ignores errors of w, a hash or a buffer.
func (t template) writeTo(w io.Writer, in *input) bool {
	for i := range t {
		p := &t[i]
		switch {
		case p.group != nil:
			_, _ = io.WriteString(w, p.group.text(in))
		case p.refs == nil:
			_, _ = io.WriteString(w, p.literal)
		case p.refs[0].kind == refBody && p.strip == "":
			_, _ = w.Write(in.request.Body) // without a copy
		default:
			value, ok := p.value(in)
			if !ok {
				return false
			}
			_, _ = io.WriteString(w, value)
		}
	}
	return true
}

// value returns the first alternative that is present and has the prefix.
func (p *part) value(in *input) (string, bool) {
	for _, r := range p.refs {
		value, ok := in.single(r)
		if !ok {
			continue
		}
		if value, ok = strings.CutPrefix(value, p.strip); ok {
			return value, true
		}
	}
	return "", false
}

// text returns the value of the template; empty if a placeholder is absent.
func (t template) text(in *input) string {
	var b strings.Builder
	if !t.writeTo(&b, in) {
		return ""
	}
	return b.String()
}
