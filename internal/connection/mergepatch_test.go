package connection_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/hawser-io/hawser/internal/connection"
)

// The vectors of RFC 7396, appendix A.
func TestMergePatchDoesWhatTheRFCShows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ target, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `null`, `null`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		// Beyond the RFC: texts stay as they are.
		{`{"n":12345678901234567890.10}`, `{"m":1e400, "t":"<&>\u00e9"}`, `{"m":1e400,"n":12345678901234567890.10,"t":"<&>\u00e9"}`},
		{`{ "a" : 1 }`, `{ "a" : null , "b" : { "c" : null } }`, `{"b":{}}`},
		{``, `{"a":1}`, `{"a":1}`},
	} {
		got, err := connection.MergePatch(json.RawMessage(c.target), json.RawMessage(c.patch), nil)
		must(t, err)
		if string(got) != c.want && !equalJSON(string(got), c.want) {
			t.Errorf("%s patched with %s is %s, want %s", c.target, c.patch, got, c.want)
		}
	}
	got, err := connection.MergePatch(json.RawMessage(`{"n":12345678901234567890.10}`), json.RawMessage(`{"t":"<&>"}`), nil)
	if err != nil || string(got) != `{"n":12345678901234567890.10,"t":"<&>"}` {
		t.Errorf("got %s, %v, want the texts as they were", got, err)
	}
}

func equalJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}

// mergeModel is the pseudo code of RFC 7396, section 2.
func mergeModel(target, patch any) any {
	from, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	into, ok := target.(map[string]any)
	if !ok {
		into = map[string]any{}
	}
	for name, value := range from {
		if value == nil {
			delete(into, name)
		} else {
			into[name] = mergeModel(into[name], value)
		}
	}
	return into
}

func anyJSON() *rapid.Generator[any] { return jsonTo(3) }

func jsonTo(depth int) *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.SampledFrom([]any{0.0, 1.0, -2.5, 1e20}), rapid.SampledFrom([]any{"", "a", "***", "<ü>", "\x00"}),
	)
	if depth == 0 {
		return leaf
	}
	name := rapid.SampledFrom([]string{"a", "b", "c", "", "a.b", "~/"})
	return rapid.OneOf(leaf,
		rapid.MapOfN(name, jsonTo(depth-1), 0, 4).AsAny(),
		rapid.SliceOfN(jsonTo(depth-1), 0, 3).AsAny())
}

func TestMergePatchIsTheModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		target, patch := anyJSON().Draw(t, "target"), anyJSON().Draw(t, "patch")
		targetText, patchText := text(t, target), text(t, patch)
		got, err := connection.MergePatch(targetText, patchText, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := mergeModel(target, patch)
		if !equalJSON(string(got), string(text(t, want))) {
			t.Fatalf("%s patched with %s is %s, want %s", targetText, patchText, got, text(t, want))
		}
		again, err := connection.MergePatch(got, patchText, nil)
		if err != nil || !equalJSON(string(again), string(got)) {
			t.Fatalf("patched again it is %s, %v, want %s", again, err, got)
		}
	})
}

// Whatever is masked, sending back what is shown changes nothing; and what is not a
// mask is merged as if nothing were masked.
func TestSendingBackWhatIsShownChangesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		target := rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), jsonTo(2), 0, 3).Draw(t, "target")
		secret := rapid.StringMatching(`[a-z]{9,12}`).Draw(t, "secret")
		target["secret"] = secret
		target["in"] = map[string]any{"secret": secret, "open": "x"}
		shown := map[string]any{}
		must2(t, json.Unmarshal(text(t, withoutNulls(target)), &shown))
		target = map[string]any{}
		must2(t, json.Unmarshal(text(t, shown), &target))
		mask := secret[:4] + "***" + secret[len(secret)-4:]
		shown["secret"] = mask
		shown["in"].(map[string]any)["secret"] = mask
		got, err := connection.MergePatch(text(t, target), text(t, shown), text(t, shown))
		if err != nil || !equalJSON(string(got), string(text(t, target))) {
			t.Fatalf("got %s, %v, want %s", got, err, text(t, target))
		}
		got, err = connection.MergePatch(text(t, target), json.RawMessage(fmt.Sprintf(`{"secret":%q}`, mask+"!")), text(t, shown))
		target["secret"] = mask + "!"
		if err != nil || !equalJSON(string(got), string(text(t, target))) {
			t.Fatalf("got %s, %v, want %s", got, err, text(t, target))
		}
	})
}

// withoutNulls removes members that are null: a merge patch cannot say them.
func withoutNulls(v any) any {
	if object, ok := v.(map[string]any); ok {
		out := map[string]any{}
		for name, value := range object {
			if value != nil {
				out[name] = withoutNulls(value)
			}
		}
		return out
	}
	return v
}

func text(t *rapid.T, v any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(v)
	must2(t, err)
	return b
}

func must2(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func FuzzMergePatch(f *testing.F) {
	f.Add(`{"a":"b"}`, `{"a":{"c":null}}`, `{"a":"*"}`)
	f.Add(`[1]`, `{}`, ``)
	f.Fuzz(func(t *testing.T, target, patch, shown string) {
		got, err := connection.MergePatch(json.RawMessage(target), json.RawMessage(patch), json.RawMessage(shown))
		if err == nil && json.Valid([]byte(patch)) && !json.Valid(got) {
			t.Errorf("%s patched with %s is %s, which is not JSON", target, patch, got)
		}
	})
}
