package schema

import (
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A check is the part of a schema that can be decided quickly, on the parsed
// document, without building maps. It says yes only when the full validator
// certainly would; "no" means "ask the full validator". A schema's check is the
// same tree (or graph) as the schema itself.
//
// It exists because it runs twice per action, and the full validator costs ten
// times as much. A fuzz test holds the two together.
type check struct {
	types    kinds                    // 0: every type
	values   []scalar                 // enum and const
	format   func(value any) error    // of strings
	pattern  jsonschema.Regexp        // of strings
	length   bounds                   // of strings, in characters
	low      float64                  // of numbers
	high     float64                  // of numbers
	limits   struct{ low, high bool } // whether low and high are set
	size     bounds                   // of objects, in members
	members  map[string]member
	required uint64 // set of member.bit
	others   *check // members that are not in members; nil: anything
	closed   bool   // no such members
	count    bounds // of arrays
	prefix   []*check
	items    *check // after prefix; nil: anything
	all      []*check
	any      [][]*check
}

// member is what a check knows about a member of an object.
type member struct {
	check *check // nil: anything
	bit   uint64
}

// kinds is a set of node kinds, and of "integer", which is no kind of node.
type kinds uint16

const integer kinds = 1 << 15

func (k kinds) has(n nodeKind) bool { return k&(1<<n) != 0 }

// bounds are inclusive; high -1 is no bound.
type bounds struct{ low, high int }

func (b bounds) hold(n int) bool { return n >= b.low && (b.high < 0 || n <= b.high) }

// scalar is a value of an enum: the kind and the text of a value without escapes.
type scalar struct {
	kind nodeKind
	text string
}

// mostSteps ends a chain of references that leads nowhere.
const mostSteps = 2 * deepest

// passes reports whether the node is certainly valid.
func (c *check) passes(d *document, i, depth int) bool {
	n := &d.nodes[i]
	if depth > mostSteps || !c.fitsType(d, n) || !c.fitsValue(d, i) {
		return false
	}
	switch n.kind {
	case stringNode:
		if !c.fitsString(d, i) {
			return false
		}
	case numberNode:
		if !c.fitsNumber(d.text(i)) {
			return false
		}
	case arrayNode:
		if !c.fitsArray(d, i, depth) {
			return false
		}
	case objectNode:
		if !c.fitsObject(d, i, depth) {
			return false
		}
	}
	for _, each := range c.all {
		if !each.passes(d, i, depth+1) {
			return false
		}
	}
	for _, alternatives := range c.any {
		if !slices.ContainsFunc(alternatives, func(a *check) bool { return a.passes(d, i, depth+1) }) {
			return false
		}
	}
	return true
}

func (c *check) fitsType(d *document, n *node) bool {
	if c.types == 0 || c.types.has(n.kind) {
		return true
	}
	return n.kind == numberNode && c.types&integer != 0 && isDigits(d.src[n.start:n.end])
}

// isDigits reports whether the number has neither fraction nor exponent.
func isDigits(number string) bool {
	for _, c := range []byte(number) {
		if (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func (c *check) fitsValue(d *document, i int) bool {
	if c.values == nil {
		return true
	}
	n, text := &d.nodes[i], d.text(i)
	if n.kind == stringNode {
		text = d.string(i)
	}
	return slices.Contains(c.values, scalar{n.kind, text})
}

func (c *check) fitsString(d *document, i int) bool {
	if c.format == nil && c.pattern == nil && c.length == (bounds{0, -1}) {
		return true
	}
	text := d.string(i)
	return (c.length == bounds{0, -1} || c.length.hold(utf8.RuneCountInString(text))) &&
		(c.format == nil || c.format(text) == nil) &&
		(c.pattern == nil || c.pattern.MatchString(text))
}

func (c *check) fitsNumber(text string) bool {
	if !c.limits.low && !c.limits.high {
		return true
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return false
	}
	// Rounding keeps the order, so a float that lies strictly inside the limits
	// (which are exact) comes from a number that does.
	if exact := len(text) <= 15 && isDigits(text); exact {
		return (!c.limits.low || v >= c.low) && (!c.limits.high || v <= c.high)
	}
	return (!c.limits.low || v > c.low) && (!c.limits.high || v < c.high)
}

func (c *check) fitsArray(d *document, i, depth int) bool {
	if !c.count.hold(int(d.nodes[i].count)) {
		return false
	}
	if c.prefix == nil && c.items == nil {
		return true
	}
	index := 0
	for child := range d.children(i) {
		item := c.items
		if index < len(c.prefix) {
			item = c.prefix[index]
		}
		if item != nil && !item.passes(d, child, depth+1) {
			return false
		}
		index++
	}
	return true
}

func (c *check) fitsObject(d *document, i, depth int) bool {
	if !c.size.hold(int(d.nodes[i].count)) {
		return false
	}
	var seen uint64
	for child := range d.children(i) {
		m, known := c.members[d.key(child)]
		if !known {
			if c.closed || c.others != nil && !c.others.passes(d, child, depth+1) {
				return false
			}
			continue
		}
		seen |= m.bit
		if m.check != nil && !m.check.passes(d, child, depth+1) {
			return false
		}
	}
	return seen&c.required == c.required
}
