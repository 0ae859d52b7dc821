package connectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
)

// decodeInput decodes input that fits its schema. 1.0 and 1e2 are integers for JSON Schema,
// and not for encoding/json: if decoding fails, they are rewritten as 1 and 100.
func decodeInput[In any](input []byte) (In, error) {
	var in In
	err := json.Unmarshal(input, &in)
	if _, wrongType := errors.AsType[*json.UnmarshalTypeError](err); !wrongType {
		return in, err
	}
	decoder := json.NewDecoder(bytes.NewReader(input))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return in, err
	}
	rewritten, failed := json.Marshal(withWholeNumbers(value))
	if failed != nil {
		return in, err
	}
	var second In
	err = json.Unmarshal(rewritten, &second)
	return second, err
}

// withWholeNumbers returns the value with whole numbers without fraction and exponent, as
// far as a float64 holds them exactly. Other numbers keep their digits.
func withWholeNumbers(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			v[name] = withWholeNumbers(member)
		}
	case []any:
		for i, item := range v {
			v[i] = withWholeNumbers(item)
		}
	case json.Number:
		f, err := v.Float64()
		if err == nil && strings.ContainsAny(v.String(), ".eE") && f == math.Trunc(f) && math.Abs(f) <= 1<<53 {
			return json.Number(strconv.FormatFloat(f, 'f', -1, 64))
		}
	}
	return value
}
