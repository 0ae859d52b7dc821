package connectors_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/hawser-io/hawser/pkg/connectors"
)

func TestWholeNumbersDecodeAsIntegers(t *testing.T) {
	t.Parallel()
	type input struct {
		Count int8              `json:"count"`
		Share float64           `json:"share,omitempty"`
		List  []int             `json:"list,omitempty"`
		Deep  *struct{ N uint } `json:"deep,omitempty"`
	}
	action := connectors.NewAction("count", func(_ context.Context, _ *connectors.Call, in input) (input, error) { return in, nil }, nil)
	for in, want := range map[string]string{
		`{"count":1}`:                    `{"count":1}`,
		`{"count":1.0}`:                  `{"count":1}`,
		`{"count":1e2,"share":0.5}`:      `{"count":100,"share":0.5}`,
		`{"count":-0.0}`:                 `{"count":0}`,
		`{"count":1,"list":[2.0,30e1]}`:  `{"count":1,"list":[2,300]}`,
		`{"count":1.0,"deep":{"N":7.0}}`: `{"count":1,"deep":{"N":7}}`,
		`{"count":1.5}`:                  "",
		`{"count":300.0}`:                "",
		`{"count":1e400}`:                "",
	} {
		out, err := action.Run(t.Context(), &connectors.Call{}, json.RawMessage(in))
		if string(out) != want || (want == "") != errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorActionInputInvalid}) {
			t.Errorf("%s: %s, %v, want %s", in, out, err, want)
		}
	}
}
