package schema

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// maxErrors is how many errors one document can cause.
const maxErrors = 256

// fieldErrors returns the errors of a failed validation for people: sorted by path, without
// repetitions, at most maxErrors, and never with a value of the document.
func fieldErrors(failure *jsonschema.ValidationError) []FieldError {
	var all []FieldError
	for _, leaf := range leaves(failure) {
		all = append(all, describe(leaf)...)
	}
	slices.SortFunc(all, func(a, b FieldError) int {
		if order := strings.Compare(a.Path, b.Path); order != 0 {
			return order
		}
		return strings.Compare(a.Message, b.Message)
	})
	all = slices.Compact(all)
	if more := len(all) - maxErrors; more > 0 {
		all = append(all[:maxErrors], FieldError{"", fmt.Sprintf("has %d more errors", more)})
	}
	return all
}

// leaves returns the errors without causes. Of an error that only combines others it
// returns those.
func leaves(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		if branch := fitting(e); branch != nil {
			return leaves(branch)
		}
		return []*jsonschema.ValidationError{e}
	case *kind.Contains, *kind.MinContains, *kind.PropertyNames:
		return []*jsonschema.ValidationError{e} // its causes are not about the value here
	}
	if len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	var all []*jsonschema.ValidationError
	for _, cause := range e.Causes {
		all = append(all, leaves(cause)...)
	}
	return all
}

// fitting returns the one alternative that fits the type of the value, e.g. the object
// of "object or null"; nil unless there is exactly one.
func fitting(e *jsonschema.ValidationError) *jsonschema.ValidationError {
	var found *jsonschema.ValidationError
	for _, branch := range e.Causes {
		mismatch := slices.ContainsFunc(leaves(branch), func(leaf *jsonschema.ValidationError) bool {
			switch leaf.ErrorKind.(type) {
			case *kind.Type, *kind.Const, *kind.Enum:
				return len(leaf.InstanceLocation) == len(e.InstanceLocation)
			}
			return false
		})
		if mismatch {
			continue
		}
		if found != nil {
			return nil
		}
		found = branch
	}
	return found
}

// describe returns the field errors of one error; several if it is about several members.
func describe(e *jsonschema.ValidationError) []FieldError {
	each := func(names []string, message string) []FieldError {
		all := make([]FieldError, len(names))
		for i, name := range names {
			all[i] = FieldError{joinPath(append(slices.Clip(e.InstanceLocation), name)), message}
		}
		return all
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		return each(k.Missing, "is required")
	case *kind.AdditionalProperties:
		return each(k.Properties, "is not a known field")
	case *kind.DependentRequired:
		return each(k.Missing, "is required beside "+k.Prop)
	case *kind.PropertyNames:
		return each([]string{k.Property}, "is not an allowed name")
	}
	return []FieldError{{joinPath(e.InstanceLocation), message(e.ErrorKind)}}
}

// message returns what the schema requires. It does not mention the value.
func message(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *kind.Type:
		return "must be " + typeNames(k.Want)
	case *kind.Enum:
		return allowedValues(k.Want)
	case *kind.Const:
		return allowedValues([]any{k.Want})
	case *kind.Format:
		return "must be a valid " + k.Want
	case *kind.MinLength:
		if k.Want == 1 {
			return "must not be empty"
		}
		return fmt.Sprintf("must have at least %d characters", k.Want)
	case *kind.MaxLength:
		return fmt.Sprintf("must have at most %s", counted(k.Want, "character"))
	case *kind.Pattern:
		return "must match the pattern " + k.Want
	case *kind.Minimum:
		return "must be at least " + decimal(k.Want)
	case *kind.Maximum:
		return "must be at most " + decimal(k.Want)
	case *kind.ExclusiveMinimum:
		return "must be greater than " + decimal(k.Want)
	case *kind.ExclusiveMaximum:
		return "must be less than " + decimal(k.Want)
	case *kind.MultipleOf:
		return "must be a multiple of " + decimal(k.Want)
	case *kind.MinItems:
		return "must have at least " + counted(k.Want, "item")
	case *kind.MaxItems:
		return "must have at most " + counted(k.Want, "item")
	case *kind.UniqueItems:
		return "must not have the same item twice"
	case *kind.Contains, *kind.MinContains:
		return "does not have the items that it must contain"
	case *kind.MaxContains:
		return fmt.Sprintf("has more than %d items of a kind", k.Want)
	case *kind.MinProperties:
		return "must have at least " + counted(k.Want, "member")
	case *kind.MaxProperties:
		return "must have at most " + counted(k.Want, "member")
	case *kind.AnyOf:
		return "fits none of the allowed forms"
	case *kind.OneOf:
		if len(k.Subschemas) == 0 {
			return "fits none of the allowed forms"
		}
		return "fits more than one of the allowed forms"
	case *kind.FalseSchema:
		return "is not allowed"
	case *kind.Not:
		return "has a form that is not allowed"
	case *kind.RefCycle:
		return "cannot be checked: its schema refers to itself"
	default:
		return "does not fit the schema"
	}
}

// typeNames returns "a string or null" for ["string","null"].
func typeNames(types []string) string {
	words := make([]string, len(types))
	for i, t := range types {
		switch t {
		case "array", "integer", "object":
			words[i] = "an " + t
		case "null":
			words[i] = t
		default:
			words[i] = "a " + t
		}
	}
	return strings.Join(words, " or ")
}

// allowedValues returns the values that a schema allows, as a message.
func allowedValues(values []any) string {
	const most = 20
	words := make([]string, 0, min(len(values), most))
	for _, v := range values {
		switch v.(type) {
		case []any, map[string]any:
			return "is not one of the allowed values"
		}
		if len(words) == most {
			words = append(words, "…")
			break
		}
		if s, ok := v.(string); ok {
			words = append(words, strconv.Quote(s))
		} else if v == nil {
			words = append(words, "null")
		} else {
			words = append(words, fmt.Sprint(v))
		}
	}
	if len(words) == 1 {
		return "must be " + words[0]
	}
	return "must be one of " + strings.Join(words, ", ")
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// decimal returns a number of a schema for a message.
func decimal(n *big.Rat) string {
	if n.IsInt() {
		return n.Num().String()
	}
	f, _ := n.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}
