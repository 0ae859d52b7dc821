package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// newFiller derives the filler of a compiled schema; nil if it has no defaults.
// Each default is completed with the defaults inside it and checked against its
// own schema, once, here.
func newFiller(s *jsonschema.Schema) (*filler, error) {
	b := fillerBuilder{
		ids:      map[*jsonschema.Schema]int{},
		fillers:  map[string]*filler{},
		defaults: map[*memberFiller]*initial{},
	}
	root := b.of([]*jsonschema.Schema{s})
	for m := range b.defaults {
		b.complete(m)
	}
	if len(b.problems) > 0 {
		slices.Sort(b.problems)
		return nil, fmt.Errorf("%s", strings.Join(slices.Compact(b.problems), "; "))
	}
	useful := b.prune()
	if !useful[root] {
		return nil, nil
	}
	return root, nil
}

// mostFillers bounds the sets of schemas that apply to one place: references can
// combine a few schemas in exponentially many ways.
const mostFillers = largestSchema

type fillerBuilder struct {
	ids      map[*jsonschema.Schema]int
	fillers  map[string]*filler // set of schemas (their ids) → what they say together
	defaults map[*memberFiller]*initial
	problems []string
}

// initial is a default that still lacks the defaults inside it.
type initial struct {
	value   any
	schemas []*jsonschema.Schema // that it has to satisfy
	state   initialState
}

type initialState uint8

const (
	incomplete initialState = iota
	beingCompleted
	complete
)

// of returns the filler of a place that the schemas apply to; nil for none.
func (b *fillerBuilder) of(schemas []*jsonschema.Schema) *filler {
	schemas = applying(schemas...)
	if len(schemas) == 0 {
		return nil
	}
	set := b.set(schemas)
	if f, ok := b.fillers[set]; ok {
		return f
	}
	f := &filler{}
	if len(b.fillers) >= mostFillers {
		b.problems = append(b.problems, "it combines too many schemas")
		return f
	}
	b.fillers[set] = f
	names := map[string]bool{}
	prefixed := 0
	var others, items []*jsonschema.Schema
	for _, s := range schemas {
		for name := range s.Properties {
			names[name] = true
		}
		others = append(others, additional(s)...)
		prefixed = max(prefixed, len(s.PrefixItems))
		if s.Items2020 != nil {
			items = append(items, s.Items2020)
		}
	}
	f.others, f.items = b.of(others), b.of(items)
	for i := range prefixed {
		f.prefix = append(f.prefix, b.of(itemSchemas(schemas, i)))
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		f.members = append(f.members, b.member(name, schemas))
	}
	return f
}

func (b *fillerBuilder) member(name string, schemas []*jsonschema.Schema) *memberFiller {
	var of []*jsonschema.Schema
	for _, s := range schemas {
		if property, ok := s.Properties[name]; ok {
			of = append(of, property)
		} else {
			of = append(of, additional(s)...)
		}
	}
	m := &memberFiller{name: name, inner: b.of(of)}
	for _, s := range applying(of...) {
		if s.Default != nil {
			b.defaults[m] = &initial{value: *s.Default, schemas: of}
			break
		}
	}
	return m
}

func additional(s *jsonschema.Schema) []*jsonschema.Schema {
	if more, ok := s.AdditionalProperties.(*jsonschema.Schema); ok {
		return []*jsonschema.Schema{more}
	}
	return nil
}

func itemSchemas(schemas []*jsonschema.Schema, i int) (of []*jsonschema.Schema) {
	for _, s := range schemas {
		if i < len(s.PrefixItems) {
			of = append(of, s.PrefixItems[i])
		} else if s.Items2020 != nil {
			of = append(of, s.Items2020)
		}
	}
	return of
}

// set names the set of the schemas.
func (b *fillerBuilder) set(schemas []*jsonschema.Schema) string {
	ids := make([]int, len(schemas))
	for i, s := range schemas {
		if _, ok := b.ids[s]; !ok {
			b.ids[s] = len(b.ids)
		}
		ids[i] = b.ids[s]
	}
	slices.Sort(ids)
	return fmt.Sprint(ids)
}

// complete sets the member's text: its default with the defaults inside it.
func (b *fillerBuilder) complete(m *memberFiller) {
	d := b.defaults[m]
	if d == nil || d.state == complete {
		return
	}
	if d.state == beingCompleted {
		b.problem(m, "it contains itself")
		return
	}
	d.state = beingCompleted
	defer func() { d.state = complete }()
	text := plainJSON(d.value)
	if m.inner != nil {
		parsed, bad := parseDocument(text)
		if bad != nil {
			b.problem(m, bad.text)
			return
		}
		run := filling{document: &parsed, before: b.complete}
		run.visit(m.inner, 0)
		text = spliced(text, run.missing)
	}
	parsed, bad := parseDocument(text)
	if bad != nil {
		b.problem(m, bad.text)
		return
	}
	for _, s := range d.schemas {
		if wrong := (&Schema{compiled: s}).check(&parsed); wrong != nil {
			b.problem(m, FieldErrors(fieldErrors(wrong)).Error())
		}
	}
	m.text = plainJSON(m.name) + ":" + text
}

func (b *fillerBuilder) problem(m *memberFiller, text string) {
	b.problems = append(b.problems, fmt.Sprintf("default of %q: %s", m.name, text))
}

// prune cuts off what holds no defaults, and returns the fillers that do.
func (b *fillerBuilder) prune() map[*filler]bool {
	useful := map[*filler]bool{}
	for grown := true; grown; {
		grown = false
		for _, f := range b.fillers {
			if !useful[f] && f.does(useful) {
				useful[f], grown = true, true
			}
		}
	}
	cut := func(f **filler) {
		if !useful[*f] {
			*f = nil
		}
	}
	for _, f := range b.fillers {
		cut(&f.others)
		cut(&f.items)
		for i := range f.prefix {
			cut(&f.prefix[i])
		}
		for _, m := range f.members {
			cut(&m.inner)
		}
	}
	return useful
}

// does reports whether the filler has a default, or leads to a useful one.
func (f *filler) does(useful map[*filler]bool) bool {
	if useful[f.others] || useful[f.items] {
		return true
	}
	for _, p := range f.prefix {
		if useful[p] {
			return true
		}
	}
	return slices.ContainsFunc(f.members, func(m *memberFiller) bool { return m.text != "" || useful[m.inner] })
}

// plainJSON encodes a value that came from JSON, without HTML escapes.
func plainJSON(value any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		panic(fmt.Sprintf("schema: a JSON value does not encode: %v", err))
	}
	return strings.TrimSuffix(b.String(), "\n")
}
