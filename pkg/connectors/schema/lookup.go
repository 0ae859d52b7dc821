package schema

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hawser-io/hawser/pkg/secret"
)

// Questions about the places that a schema describes. Paths are dotted.

// IsObject reports whether only objects fit.
func (s *Schema) IsObject() bool {
	return slices.ContainsFunc(applying(s.compiled), func(each *jsonschema.Schema) bool {
		return each.Types != nil && slices.Equal(each.Types.ToStrings(), []string{"object"})
	})
}

// AllowsField reports whether a document may have the field: it is described, or
// members that are not described are allowed.
func (s *Schema) AllowsField(path string) bool {
	here := applying(s.compiled)
	for name := range strings.SplitSeq(path, ".") {
		below := described(here, name)
		if len(below) == 0 {
			return !slices.ContainsFunc(here, func(each *jsonschema.Schema) bool { return each.AdditionalProperties == false })
		}
		here = applying(below...)
	}
	return true
}

// described returns what the schemas say of a member.
func described(here []*jsonschema.Schema, name string) (members []*jsonschema.Schema) {
	for _, each := range here {
		if property, ok := each.Properties[name]; ok {
			members = append(members, property)
		}
	}
	return members
}

// listings returns the schemas of a field that list all values that it may have.
func (s *Schema) listings(path string) []*jsonschema.Schema {
	here := applying(s.compiled)
	for name := range strings.SplitSeq(path, ".") {
		here = applying(described(here, name)...)
	}
	return slices.DeleteFunc(here, func(each *jsonschema.Schema) bool { return each.Enum == nil && each.Const == nil })
}

// Enumerates reports whether the schema lists all values that a field may have.
func (s *Schema) Enumerates(path string) bool { return len(s.listings(path)) > 0 }

// AllowsValue reports whether a decoded value is among those that the schema lists for
// the field. It is true where the schema lists none.
func (s *Schema) AllowsValue(path string, value any) bool {
	for _, listing := range s.listings(path) {
		if listing.Validate(value) != nil {
			return false
		}
	}
	return true
}

// IsSecret reports whether the field is sealed: it, or what it lies in, is a secret.
func (s *Schema) IsSecret(path string) bool {
	whole, _ := holdsSecret(s.secrets, strings.Split(path, "."))
	return whole
}

// holdsSecret reports whether the place is a secret (or lies in one), and whether
// there are secrets inside it.
func holdsSecret(pointers []string, steps []string) (whole, inside bool) {
	for _, pointer := range pointers {
		marked := pointerSteps(pointer)
		same := true
		for i := range min(len(marked), len(steps)) {
			same = same && (marked[i] == anyStep || marked[i] == steps[i])
		}
		whole = whole || same && len(marked) <= len(steps)
		inside = inside || same && len(marked) > len(steps)
	}
	return whole, inside
}

// unescape reads a step of a JSON pointer (RFC 6901, 4).
var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// pointerSteps splits a JSON pointer.
func pointerSteps(pointer string) []string {
	if pointer == "" {
		return nil
	}
	steps := strings.Split(pointer[1:], "/")
	for i := range steps {
		steps[i] = unescape.Replace(steps[i])
	}
	return steps
}

// SecretDefault returns the dotted path of a secret that has a default, "" if
// there is none. An empty default is none.
func (s *Schema) SecretDefault() string {
	found := ""
	type visited struct {
		schema *jsonschema.Schema
		inside bool
	}
	seen := map[visited]bool{}
	var visit func(each *jsonschema.Schema, path string, inside bool)
	visit = func(each *jsonschema.Schema, path string, inside bool) {
		if each == nil || found != "" {
			return
		}
		inside = inside || marksSecret(each)
		if seen[visited{each, inside}] {
			return
		}
		seen[visited{each, inside}] = true
		if inside && each.Default != nil && *each.Default != nil && *each.Default != "" {
			found = strings.TrimPrefix(path, ".")
			return
		}
		for _, same := range alternatives(each) {
			visit(same, path, inside)
		}
		for step, below := range places(each) {
			for _, b := range below {
				visit(b, path+"."+step, inside)
			}
		}
	}
	visit(s.compiled, "", false)
	return found
}

// SecretValues returns the values of a document that the schema marks secret: strings
// and numbers, those inside secret objects and lists included.
func (s *Schema) SecretValues(document []byte) []secret.Text {
	doc, bad := parseDocument(string(document))
	if bad != nil || s == nil {
		return nil
	}
	var values []secret.Text
	for _, pointer := range s.secrets {
		for _, i := range doc.matches(0, pointerSteps(pointer)) {
			values = doc.leaves(i, values)
		}
	}
	return values
}

// WithoutSecrets returns the document without the values that the schema marks secret. In
// a list they become null, to keep the others in their places. It returns nil for what is
// not JSON.
func (s *Schema) WithoutSecrets(document []byte) json.RawMessage {
	doc, bad := parseDocument(string(document))
	if bad != nil {
		return nil
	}
	hidden := map[int]bool{}
	for _, pointer := range s.secrets {
		for _, i := range doc.matches(0, pointerSteps(pointer)) {
			hidden[i] = true
		}
	}
	var b bytes.Buffer
	doc.write(&b, 0, hidden)
	return b.Bytes()
}

// Decode decodes a document into the types of encoding/json, numbers as json.Number. It
// is as strict as [Schema.Validate].
func Decode(document []byte) (any, *FieldError) {
	doc, bad := parseDocument(string(document))
	if bad != nil {
		wrong := bad.field()
		return nil, &wrong
	}
	return doc.value(0), nil
}

// matches returns the nodes that the steps lead to.
func (d *document) matches(i int, steps []string) []int {
	if len(steps) == 0 {
		return []int{i}
	}
	var all []int
	index := 0
	for child := range d.children(i) {
		step := strconv.Itoa(index)
		if d.nodes[i].kind == objectNode {
			step = d.key(child)
		}
		if steps[0] == anyStep || steps[0] == step {
			all = append(all, d.matches(child, steps[1:])...)
		}
		index++
	}
	return all
}

// leaves appends the node's scalars as secrets.
func (d *document) leaves(i int, to []secret.Text) []secret.Text {
	switch d.nodes[i].kind {
	case stringNode:
		if text := d.string(i); text != "" {
			to = append(to, secret.New(text))
		}
	case numberNode:
		to = append(to, secret.New(d.text(i)))
	case arrayNode, objectNode:
		for child := range d.children(i) {
			to = d.leaves(child, to)
		}
	}
	return to
}

// write writes the node, compact, without the hidden ones below it. In a list they
// become null, to keep the others in their places.
func (d *document) write(b *bytes.Buffer, i int, hidden map[int]bool) {
	n := &d.nodes[i]
	if n.kind != objectNode && n.kind != arrayNode {
		b.WriteString(d.text(i))
		return
	}
	brackets := map[nodeKind]string{objectNode: "{}", arrayNode: "[]"}[n.kind]
	b.WriteByte(brackets[0])
	first := true
	for child := range d.children(i) {
		if hidden[child] && n.kind == objectNode {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		if n.kind == objectNode {
			b.WriteString(plainJSON(d.key(child)) + ":")
		}
		if hidden[child] {
			b.WriteString("null")
			continue
		}
		d.write(b, child, hidden)
	}
	b.WriteByte(brackets[1])
}
