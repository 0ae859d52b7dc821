package schema

import (
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A filler says which defaults to fill in at one place of a document and below:
// what all schemas that apply to the place say together. Like the schema it is a
// tree, or a graph where the schema refers to itself.
type filler struct {
	members []*memberFiller // sorted by name
	others  *filler         // of members that are not listed; nil: nothing to do
	prefix  []*filler       // of the first items
	items   *filler         // of the items after prefix
}

// memberFiller is about one member of an object.
type memberFiller struct {
	name  string
	text  string  // `"name":default`, with the defaults inside it; "" if it has none
	inner *filler // nil: nothing to do below
}

func (f *filler) member(name string) *memberFiller {
	for _, m := range f.members {
		if m.name == name {
			return m
		}
	}
	return nil
}

// fill returns the document with its defaults, and whether any were missing.
func (f *filler) fill(d *document) (string, bool) {
	run := filling{document: d}
	run.visit(f, 0)
	if len(run.missing) == 0 {
		return "", false
	}
	return spliced(d.src, run.missing), true
}

// filling is one run over a document.
type filling struct {
	*document
	missing []splice // in the order of the source
	// before is called before a default is used. Only the builder needs it.
	before func(*memberFiller)
}

func (run *filling) visit(f *filler, i int) {
	switch n := &run.nodes[i]; n.kind {
	case arrayNode:
		index := 0
		for child := range run.children(i) {
			item := f.items
			if index < len(f.prefix) {
				item = f.prefix[index]
			}
			if item != nil {
				run.visit(item, child)
			}
			index++
		}
	case objectNode:
		for child := range run.children(i) {
			inner := f.others
			if m := f.member(run.key(child)); m != nil {
				inner = m.inner
			}
			if inner != nil {
				run.visit(inner, child)
			}
		}
		run.add(f, i)
	}
}

// add splices the missing members in before the closing brace.
func (run *filling) add(f *filler, i int) {
	n := &run.nodes[i]
	comma := n.count > 0
	for _, m := range f.members {
		if _, there := run.document.member(i, m.name); there {
			continue
		}
		if run.before != nil {
			run.before(m)
		}
		if m.text == "" {
			continue
		}
		text := m.text
		if comma {
			text = "," + text
		}
		comma = true
		run.missing = append(run.missing, splice{n.end - 1, n.end - 1, text})
	}
}

// applying returns the schemas that hold for a place whenever s does: s itself,
// and what it reaches by $ref, allOf, and "this or null". In that order, each once.
func applying(schemas ...*jsonschema.Schema) []*jsonschema.Schema {
	var all []*jsonschema.Schema
	var visit func(s *jsonschema.Schema)
	visit = func(s *jsonschema.Schema) {
		for _, known := range all {
			if known == s {
				return
			}
		}
		all = append(all, s)
		if s.Ref != nil {
			visit(s.Ref)
		}
		for _, each := range s.AllOf {
			visit(each)
		}
		for _, alternatives := range [][]*jsonschema.Schema{s.AnyOf, s.OneOf} {
			if only := besidesNull(alternatives); only != nil {
				visit(only)
			}
		}
	}
	for _, s := range schemas {
		visit(s)
	}
	return all
}

// besidesNull returns the other alternative where one of two is null, else nil.
func besidesNull(alternatives []*jsonschema.Schema) *jsonschema.Schema {
	if len(alternatives) != 2 {
		return nil
	}
	for i, s := range alternatives {
		if s.Types != nil && fmt.Sprint(s.Types.ToStrings()) == "[null]" {
			return alternatives[1-i]
		}
	}
	return nil
}
