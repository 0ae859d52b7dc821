package schema

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// withIntegers returns a valid value with every integer written as one, and whether any
// was not: 1000.0 and 1e3 are integers of JSON Schema (draft 2020-12, core, section
// 4.2.1), but Go decodes them into no integer type. Other numbers keep their text.
func withIntegers(schemas []*jsonschema.Schema, value any) (out any, changed bool) {
	schemas = applying(schemas...)
	switch v := value.(type) {
	case json.Number:
		if hasOddNumber(v) && slices.ContainsFunc(schemas, wantsInteger) {
			if text, ok := integerText(v.String()); ok {
				return json.Number(text), true
			}
		}
	case map[string]any:
		for name, member := range v {
			var inner bool
			v[name], inner = withIntegers(memberSchemas(schemas, name), member)
			changed = changed || inner
		}
	case []any:
		for i, item := range v {
			var inner bool
			v[i], inner = withIntegers(itemSchemas(schemas, i), item)
			changed = changed || inner
		}
	}
	return value, changed
}

// hasOddNumber reports whether a number in the value has a fraction or an exponent.
func hasOddNumber(value any) bool {
	switch v := value.(type) {
	case json.Number:
		return strings.ContainsAny(v.String(), ".eE")
	case map[string]any:
		for _, member := range v {
			if hasOddNumber(member) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasOddNumber)
	}
	return false
}

func wantsInteger(s *jsonschema.Schema) bool {
	return s.Types != nil && slices.Contains(s.Types.ToStrings(), "integer") && !slices.Contains(s.Types.ToStrings(), "number")
}

// integerText returns the digits of a number that is an integer. One with an exponent that
// is beyond the exact range of float64 keeps its text.
func integerText(text string) (string, bool) {
	if whole, fraction, ok := strings.Cut(text, "."); ok && strings.Trim(fraction, "0") == "" {
		return whole, true
	}
	const exact = 1 << 53
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.Abs(f) > exact {
		return "", false
	}
	return strconv.FormatInt(int64(f), 10), true
}
