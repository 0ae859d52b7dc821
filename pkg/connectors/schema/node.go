package schema

import (
	"encoding/json"
	"iter"
	"slices"
	"strings"
)

// children yields the places of a container's children, in order.
func (d *document) children(i int) iter.Seq[int] {
	return func(yield func(int) bool) {
		if d.nodes[i].count == 0 {
			return
		}
		for child := i + 1; child != 0; child = int(d.nodes[child].next) {
			if !yield(child) {
				return
			}
		}
	}
}

// key returns the name of the member.
func (d *document) key(i int) string {
	n := &d.nodes[i]
	return name(d.src, int(n.keyStart), int(n.keyEnd), n.keyEscaped)
}

// name returns the name that stands between the quotes before start and at end.
func name(src string, start, end int, escaped bool) string {
	if escaped {
		return unquote(src[start-1 : end+1])
	}
	return src[start:end]
}

// text returns the source of the value.
func (d *document) text(i int) string { return d.src[d.nodes[i].start:d.nodes[i].end] }

// string returns the value of a string.
func (d *document) string(i int) string {
	text := d.text(i)
	if d.nodes[i].escaped {
		return unquote(text)
	}
	return text[1 : len(text)-1]
}

// unquote decodes a JSON string that the parser has accepted.
func unquote(quoted string) (s string) {
	_ = json.Unmarshal([]byte(quoted), &s)
	return s
}

// member returns the place of the object's member; false if it has none, or is
// no object.
func (d *document) member(i int, name string) (int, bool) {
	if d.nodes[i].kind != objectNode {
		return 0, false
	}
	for child := range d.children(i) {
		if d.key(child) == name {
			return child, true
		}
	}
	return 0, false
}

// lookup follows a dotted path through objects, from the root.
func (d *document) lookup(path string) (int, bool) {
	at := 0
	for name := range strings.SplitSeq(path, ".") {
		var ok bool
		if at, ok = d.member(at, name); !ok {
			return 0, false
		}
	}
	return at, true
}

// value returns the value as the types of encoding/json with UseNumber.
func (d *document) value(i int) any {
	switch n := &d.nodes[i]; n.kind {
	case boolNode:
		return d.src[n.start] == 't'
	case numberNode:
		return json.Number(d.text(i))
	case stringNode:
		return d.string(i)
	case arrayNode:
		items := make([]any, 0, n.count)
		for child := range d.children(i) {
			items = append(items, d.value(child))
		}
		return items
	case objectNode:
		members := make(map[string]any, n.count)
		for child := range d.children(i) {
			members[d.key(child)] = d.value(child)
		}
		return members
	default:
		return nil
	}
}

// dotted joins a path that was collected from its end.
func dotted(reversed []string) string {
	path := slices.Clone(reversed)
	slices.Reverse(path)
	return joinPath(path)
}

// longestName bounds what one name in a path can hold: names come from outside.
const longestName = 64

// joinPath writes a path the way [FieldError] shows it.
func joinPath(path []string) string {
	short := slices.Clone(path)
	for i, name := range short {
		if len(name) > longestName {
			short[i] = strings.ToValidUTF8(name[:longestName], "") + "…"
		}
	}
	return strings.Join(short, ".")
}
