package client_test

import (
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/secret"
)

type embedded struct {
	Token secret.Text `json:"token"`
}

type marshalsItself struct{ Token secret.Text }

func (m marshalsItself) MarshalJSON() ([]byte, error) {
	return []byte(`{"of":"` + m.Token.String() + `"}`), nil
}

func secretsAreSentInTheClear(t *testing.T, s *system) {
	org := connected(t, s.client(t, nil).Scope("organization", "encodes"))
	s1, s2 := secret.New(`a "quoted" <one>`), secret.New("two")
	for name, tc := range map[string]struct {
		in   any
		want string
	}{
		"secret field":  {struct{ A, B secret.Text }{s1, s2}, `{"A":"a \"quoted\" \u003cone\u003e","B":"two"}`},
		"absent secret": {struct{ A, B secret.Text }{B: s2}, `{"A":"","B":"two"}`},
		"left out": {struct {
			A secret.Text `json:"a,omitzero"`
			B secret.Text `json:"-"`
			C secret.Text `json:",omitempty"`
			d secret.Text
		}{B: s1, C: s2, d: s1}, `{"C":"two"}`},
		"embedded": {struct{ embedded }{embedded{s2}}, `{"token":"two"}`},
		"named embedded": {struct {
			embedded `json:"inner"`
		}{embedded{s2}}, `{"inner":{"token":"two"}}`},
		"pointer":                   {&struct{ A *secret.Text }{&s2}, `{"A":"two"}`},
		"list":                      {[]any{s2, "x", []secret.Text{s2}, [1]embedded{{s2}}}, `["two","x",["two"],[{"token":"two"}]]`},
		"map":                       {map[string]any{"b": s2, "a": map[string]secret.Text{"x": s2}, "n": nil}, `{"a":{"x":"two"},"b":"two","n":null}`},
		"big number":                {map[string]any{"a": s2, "n": int64(9007199254740993)}, `{"a":"two","n":9007199254740993}`},
		"time":                      {map[string]any{"a": s2, "t": time.Unix(0, 0).UTC()}, `{"a":"two","t":"1970-01-01T00:00:00Z"}`},
		"own marshaller":            {map[string]any{"a": s2, "m": marshalsItself{s1}}, `{"a":"two","m":{"of":"[redacted]"}}`},
		"a text that looks like it": {map[string]any{"a": "[redacted]"}, `{"a":"[redacted]"}`},
		"a secret itself":           {s2, `"two"`},
	} {
		got, err := org.Action("echo", "mirror").Call(t.Context(), tc.in)
		if err != nil || string(got) != tc.want {
			t.Errorf("%s: sent %s, %v, want %s", name, got, err, tc.want)
		}
	}
	if _, err := org.Account("2").Connect(t.Context(), "echo", map[string]any{"apiKey": marshalsItself{s1}}, nil); err == nil {
		t.Error("a config with a secret that stays redacted was sent")
	}
}
