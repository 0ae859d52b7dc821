package connectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
)

// decodeInput decodes input that fits its schema. For JSON Schema 1.0 and 1e2 are
// integers; the decoder has them as none, so where it stumbles they are written out.
func decodeInput[In any](input []byte) (in In, err error) {
	if err = json.Unmarshal(input, &in); err == nil {
		return in, nil
	}
	if _, wrongType := errors.AsType[*json.UnmarshalTypeError](err); !wrongType {
		return in, err
	}
	plain, failed := writeOut(input)
	if failed != nil {
		return in, err
	}
	var again In
	err = json.Unmarshal(plain, &again)
	return again, err
}

// writeOut writes whole numbers without fraction and exponent, as far as a float64
// holds them exactly. Other numbers stay as they are.
func writeOut(doc []byte) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(doc))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	return json.Marshal(withWholeNumbers(value))
}

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
