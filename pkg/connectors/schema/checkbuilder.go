package schema

import (
	"encoding/json"
	"math/big"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// newCheck derives the check of a compiled schema; nil if it could never say yes.
func newCheck(s *jsonschema.Schema) *check {
	b := checkBuilder{}
	switch c := b.of(s); c {
	case never:
		return nil
	case nil:
		return &check{length: between(nil, nil), size: between(nil, nil), count: between(nil, nil)}
	default:
		return c
	}
}

// never is the check of a schema that cannot be decided quickly.
var never = &check{values: []scalar{}}

// checkBuilder maps each subschema to its check; references make it a graph.
type checkBuilder map[*jsonschema.Schema]*check

func (b checkBuilder) of(s *jsonschema.Schema) *check {
	if s == nil {
		return nil
	}
	if c, ok := b[s]; ok {
		return c
	}
	if s.Bool != nil {
		b[s] = never
		if *s.Bool {
			b[s] = nil
		}
		return b[s]
	}
	if !quickEnough(s) {
		b[s] = never
		return never
	}
	c := &check{
		length: between(s.MinLength, s.MaxLength), size: between(s.MinProperties, s.MaxProperties),
		count: between(s.MinItems, s.MaxItems), pattern: s.Pattern,
	}
	b[s] = c
	if s.Format != nil {
		c.format = s.Format.Validate
	}
	if !c.setTypes(s) || !c.setValues(s) || !c.setLimits(s) || !b.setMembers(c, s) {
		*c = *never
		return c
	}
	for _, item := range s.PrefixItems {
		c.prefix = append(c.prefix, b.of(item))
	}
	c.items = b.of(s.Items2020)
	if s.Ref != nil {
		c.all = appendCheck(c.all, b.of(s.Ref))
	}
	for _, each := range s.AllOf {
		c.all = appendCheck(c.all, b.of(each))
	}
	b.setAlternatives(c, s)
	return c
}

// quickEnough reports whether the schema has no keyword that a check leaves out.
func quickEnough(s *jsonschema.Schema) bool {
	return s.DraftVersion == 2020 && s.DynamicRef == nil && s.RecursiveRef == nil && s.Not == nil && s.If == nil &&
		s.PropertyNames == nil && len(s.PatternProperties) == 0 && len(s.Dependencies) == 0 &&
		len(s.DependentRequired) == 0 && len(s.DependentSchemas) == 0 && s.UnevaluatedProperties == nil &&
		!s.UniqueItems && s.Contains == nil && s.UnevaluatedItems == nil &&
		s.ExclusiveMinimum == nil && s.ExclusiveMaximum == nil && s.MultipleOf == nil && len(s.Extensions) == 0
}

func appendCheck(all []*check, c *check) []*check {
	if c == nil {
		return all
	}
	return append(all, c)
}

func between(low, high *int) bounds {
	b := bounds{0, -1}
	if low != nil {
		b.low = *low
	}
	if high != nil {
		b.high = *high
	}
	return b
}

func (c *check) setTypes(s *jsonschema.Schema) bool {
	if s.Types == nil {
		return true
	}
	for _, name := range s.Types.ToStrings() {
		switch name {
		case "null":
			c.types |= 1 << nullNode
		case "boolean":
			c.types |= 1 << boolNode
		case "number":
			c.types |= 1 << numberNode
		case "integer":
			c.types |= integer
		case "string":
			c.types |= 1 << stringNode
		case "array":
			c.types |= 1 << arrayNode
		case "object":
			c.types |= 1 << objectNode
		}
	}
	return c.types != 0
}

// setValues lists the scalars of enum or const. Leaving out containers is safe:
// they are then never found here.
func (c *check) setValues(s *jsonschema.Schema) bool {
	if s.Enum != nil && s.Const != nil {
		return false
	}
	var values []any
	switch {
	case s.Enum != nil:
		values = s.Enum.Values
	case s.Const != nil:
		values = []any{*s.Const}
	default:
		return true
	}
	c.values = []scalar{}
	for _, value := range values {
		switch v := value.(type) {
		case nil:
			c.values = append(c.values, scalar{nullNode, "null"})
		case bool:
			c.values = append(c.values, scalar{boolNode, strconv.FormatBool(v)})
		case string:
			c.values = append(c.values, scalar{stringNode, v})
		case json.Number:
			c.values = append(c.values, scalar{numberNode, v.String()})
		}
	}
	return true
}

// setLimits takes over the limits of numbers that float64 holds exactly.
func (c *check) setLimits(s *jsonschema.Schema) bool {
	exact := func(limit *big.Rat, to *float64, set *bool) bool {
		if limit == nil {
			return true
		}
		*to, *set = limit.Float64()
		return *set
	}
	return exact(s.Minimum, &c.low, &c.limits.low) && exact(s.Maximum, &c.high, &c.limits.high)
}

func (b checkBuilder) setMembers(c *check, s *jsonschema.Schema) bool {
	switch more := s.AdditionalProperties.(type) {
	case bool:
		c.closed = !more
	case *jsonschema.Schema:
		c.others = b.of(more)
	}
	if len(s.Required) > 64 {
		return false
	}
	c.members = make(map[string]member, len(s.Properties))
	for name, property := range s.Properties {
		c.members[name] = member{check: b.of(property)}
	}
	for i, name := range s.Required {
		m, known := c.members[name]
		if !known {
			if c.closed {
				return false // no document fits
			}
			m.check = c.others
		}
		m.bit = 1 << i
		c.members[name] = m
		c.required |= m.bit
	}
	return true
}

// setAlternatives takes over anyOf, and oneOf where the alternatives want
// different types, so that no document can fit two of them.
func (b checkBuilder) setAlternatives(c *check, s *jsonschema.Schema) {
	take := func(alternatives []*jsonschema.Schema) {
		var checks []*check
		for _, alternative := range alternatives {
			a := b.of(alternative)
			if a == nil {
				return // fits everything
			}
			checks = append(checks, a)
		}
		c.any = append(c.any, checks)
	}
	if len(s.AnyOf) > 0 {
		take(s.AnyOf)
	}
	if len(s.OneOf) == 0 {
		return
	}
	var taken kinds
	for _, alternative := range s.OneOf {
		a := &check{}
		if alternative.Types == nil || !a.setTypes(alternative) || taken&a.types != 0 {
			c.all = append(c.all, never)
			return
		}
		if a.types&(integer|1<<numberNode) != 0 {
			a.types |= integer | 1<<numberNode
		}
		if taken&a.types != 0 {
			c.all = append(c.all, never)
			return
		}
		taken |= a.types
	}
	take(s.OneOf)
}
