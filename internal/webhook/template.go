package webhook

import (
	"hash"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// template is a compiled webhooks.Template.
type template []part

type part struct {
	literal string
	refs    []reference
	strip   string
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
			compiled.refs = append(compiled.refs, compileReference(ref))
		}
		t = append(t, compiled)
	}
	return t
}

// uses reports whether the template has a reference of the kind.
func (t template) uses(kind refKind) bool {
	for _, p := range t {
		for _, r := range p.refs {
			if r.kind == kind {
				return true
			}
		}
		if p.group.uses(kind) {
			return true
		}
	}
	return false
}

// sink takes what a template writes: into a hash if there is one, else into
// the buffer. The raw body goes to the hash without being copied.
type sink struct {
	buffer []byte
	hash   hash.Hash
}

func (s *sink) bytes(b []byte) {
	if s.hash == nil {
		s.buffer = append(s.buffer, b...)
		return
	}
	s.flush()
	s.hash.Write(b)
}

func (s *sink) flush() {
	if s.hash != nil && len(s.buffer) > 0 {
		s.hash.Write(s.buffer)
		s.buffer = s.buffer[:0]
	}
}

// write evaluates the template; false means that a placeholder outside of a
// group is absent. The caller flushes.
func (t template) write(s *sink, v *view) bool {
	for i := range t {
		p := &t[i]
		switch {
		case p.group != nil:
			if p.group.present(v) {
				p.group.write(s, v)
			}
		case p.refs == nil:
			s.buffer = append(s.buffer, p.literal...)
		case p.refs[0].kind == refBody && p.strip == "":
			s.bytes(v.request.Body)
		default:
			value, ok := p.value(v)
			if !ok {
				return false
			}
			s.buffer = append(s.buffer, value...)
		}
	}
	return true
}

// value is the first reference that is there and has the prefix to strip.
func (p *part) value(v *view) (string, bool) {
	for _, r := range p.refs {
		value, ok := v.single(r)
		if !ok {
			continue
		}
		if value, ok = strings.CutPrefix(value, p.strip); ok {
			return value, true
		}
	}
	return "", false
}

func (t template) present(v *view) bool {
	for i := range t {
		if t[i].refs == nil {
			continue
		}
		if _, ok := t[i].value(v); !ok {
			return false
		}
	}
	return true
}

// text evaluates the template to a string: empty where a placeholder is absent.
func (t template) text(v *view) string {
	if len(t) == 1 && t[0].refs != nil {
		value, _ := t[0].value(v)
		return value
	}
	var s sink
	if !t.write(&s, v) {
		return ""
	}
	return string(s.buffer)
}
