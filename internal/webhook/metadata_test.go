package webhook_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

func extract(t *testing.T, x webhooks.Extraction, payload string, r webhook.Request) webhook.Metadata {
	t.Helper()
	w := timestamped()
	w.Delivery, w.Payload = x, payload
	return mustCompile(t, w).Extract(r)
}

func TestExtractionFromBodyPaths(t *testing.T) {
	t.Parallel()
	const body = `{"a":{"b":"deep","n":12345678901234567890,"t":true,"z":null,"o":{},"l":[]},
		"list":[{"id":"x"},{"id":"y"}], "esc\"aped":"q\u0041\n", "dup":1, "dup":2, "":"empty", "é":"e" }`
	for path, want := range map[string]string{
		"a.b":       "deep",
		"a.n":       "12345678901234567890",
		"a.t":       "true",
		"a.z":       "",
		"a.o":       "",
		"a.l":       "",
		"a":         "",
		"a.b.c":     "",
		"missing":   "",
		"A.b":       "",
		"list.0.id": "x",
		"list.1.id": "y",
		"list.2.id": "",
		"list.-1":   "",
		"list.00":   "",
		"list.1e0":  "",
		`esc"aped`:  "qA\n",
		"dup":       "2",
		"é":         "e",
	} {
		d := extract(t, webhooks.Extraction{ID: "{body." + path + "}", Repeats: true}, "", request("X", "y", body))
		if strings.Contains(want, "\n") {
			if !strings.HasPrefix(d.ID, "sha256:") {
				t.Errorf("%s: ID = %q, want a hash of %q", path, d.ID, want)
			}
			continue
		}
		if d.ID != want {
			t.Errorf("%s: ID = %q, want %q", path, d.ID, want)
		}
	}
}

func TestNothingIsExtractedFromInvalidJSON(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"", "null", "true", `"id"`, `{"id":"x"`, `{"id":"x"}}`, `{"id":"x"} {"id":"y"}`, `{'id':'x'}`,
		`{"id":"x",}`, `{"a":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `,"id":"x"}`, "\x00", `[[[`, `{"id":"\ud800"}x`,
	} {
		if d := extract(t, webhooks.Extraction{ID: "{body.id}", Repeats: true}, "", request("X", "y", body)); d.ID != "" {
			t.Errorf("body %.40q: ID = %q, want none", body, d.ID)
		}
	}
}

func TestAByteOrderMarkIsIgnored(t *testing.T) {
	t.Parallel()
	if d := extract(t, webhooks.Extraction{ID: "{body.id}"}, "", request("X", "y", "\ufeff"+`{"id":"x"}`)); d.ID != "x" {
		t.Errorf("ID = %q, want x", d.ID)
	}
}

func TestExtractionFromHeaderQueryAndForm(t *testing.T) {
	t.Parallel()
	r := request("Content-Type", "application/x-www-form-urlencoded; charset=utf-8", "kind=a+b&payload=%7B%22id%22%3A%22in+form%22%7D")
	r.Header.Set("X-Id", "h")
	r.Query = url.Values{"hub.mode": {"subscribe"}}
	x := webhooks.Extraction{
		ID: "{body.id}", Type: "{form.kind}", Account: "{query.hub.mode}", Sequence: "{header.X-None|header.X-Id}:{method}",
	}
	want := webhook.Metadata{ID: "in form", Type: "a b", Accounts: []string{"subscribe"}, Sequence: "h:POST"}
	if diff := cmp.Diff(want, extract(t, x, "payload", r)); diff != "" {
		t.Errorf("Metadata (-want +got):\n%s", diff)
	}
	r.Body = []byte("kind=%zz")
	if d := extract(t, x, "payload", r); d.Type != "" || d.ID == "" || !d.Derived {
		t.Errorf("broken form: Metadata = %+v, want no type and a derived id", d)
	}
}

func TestAlternativesGroupsAndStripping(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ template, body, want string }{
		{"{body.a|body.b}", `{"b":"2"}`, "2"},
		{"{body.a|body.b}", `{"a":"1","b":"2"}`, "1"},
		{"{body.a}[.{body.b}]", `{"a":"1"}`, "1"},
		{"{body.a}[.{body.b}]", `{"a":"1","b":"2"}`, "1.2"},
		{"{body.a}[.{body.b}]", `{"b":"2"}`, ""},
		{"[{body.a}][{body.b}]", `{"b":"2"}`, "2"},
		{"{body.a~pre:}", `{"a":"pre:fix"}`, "fix"},
		{"{body.a~pre:}", `{"a":"fix"}`, ""},
		{"{body.a|body.b~pre:}", `{"a":"x","b":"pre:y"}`, "y"},
		{"n={body.a}", `{"a":1}`, "n=1"},
	} {
		d := extract(t, webhooks.Extraction{ID: tc.template, Repeats: true}, "", request("X", "y", tc.body))
		if d.ID != tc.want {
			t.Errorf("%s of %s: %q, want %q", tc.template, tc.body, d.ID, tc.want)
		}
	}
}

func TestABatchMayBeForSeveralAccounts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		account, body string
		want          []string
	}{
		{"{body.e.*.id}", `{"e":[{"id":1},{"id":2},{"id":1},{"x":3},{"id":null}]}`, []string{"1", "2"}},
		{"{body.*.id}", `[{"id":"a"},{"id":"b"}]`, []string{"a", "b"}},
		{"{body.*.*}", `[["a"],["b","c"]]`, []string{"a", "b", "c"}},
		{"{body.e.*.id|body.id}", `{"id":"whole"}`, []string{"whole"}},
		{"{body.e.*.id}", `{"e":{"id":1}}`, nil},
		{"team-{body.id}", `{"id":1}`, []string{"team-1"}},
		{"team-{body.id}", `{}`, nil},
		{"", `{}`, nil},
	} {
		d := extract(t, webhooks.Extraction{Account: tc.account}, "", request("X", "y", tc.body))
		if diff := cmp.Diff(tc.want, d.Accounts); diff != "" {
			t.Errorf("%s of %s (-want +got):\n%s", tc.account, tc.body, diff)
		}
	}
	many := "[" + strings.Repeat(`"a",`, 5000) + `"b"]`
	if d := extract(t, webhooks.Extraction{Account: "{body.*}"}, "", request("X", "y", many)); len(d.Accounts) != 2 {
		t.Errorf("repeats: %d accounts, want 2", len(d.Accounts))
	}
}

func TestForeignNamesAreShortAndPrintable(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		id        string
		unchanged bool
	}{
		{"abc-123_X.y", true},
		{"Push Hook", true},
		{"*.>", true}, // the caller escapes it in subjects
		{strings.Repeat("x", 128), true},
		{strings.Repeat("x", 129), false},
		{strings.Repeat("x", 10_240), false},
		{" x", false},
		{"x ", false},
		{"x\r\nY: z", false},
		{"x\x00", false},
		{"ünïcode", false},
		{"\xff", false},
		{"x\x7f", false},
	} {
		r := request("X-Id", "y", "")
		r.Header = http.Header{"X-Id": {tc.id}}
		got := extract(t, webhooks.Extraction{ID: "{header.X-Id}", Type: "{header.X-Id}"}, "", r)
		if unchanged := got.ID == tc.id; unchanged != tc.unchanged || got.Type != got.ID {
			t.Errorf("%.40q: ID = %q, Type = %q, want unchanged = %v", tc.id, got.ID, got.Type, tc.unchanged)
		}
		if !tc.unchanged && (len(got.ID) != len("sha256:")+64 || got.Derived) {
			t.Errorf("%.40q: ID = %q, want a hash that is not marked as derived", tc.id, got.ID)
		}
	}
}

func TestWithoutAnIDTheHashOfBodyAndTimestampIsIt(t *testing.T) {
	t.Parallel()
	derive := func(at, body string) webhook.Metadata {
		r := request("X-Demo-Timestamp", at, body)
		return extract(t, webhooks.Extraction{ID: "{header.X-None}"}, "", r)
	}
	one := derive("1614265330", "b")
	if !one.Derived || len(one.ID) != len("sha256:")+64 {
		t.Errorf("Metadata = %+v, want a derived hash", one)
	}
	if again := derive("1614265330", "b"); again.ID != one.ID {
		t.Errorf("ids of equal deliveries differ: %s, %s", one.ID, again.ID)
	}
	for name, other := range map[string]webhook.Metadata{
		"other body": derive("1614265330", "c"), "other time": derive("1614265331", "b"),
		"no time": derive("", "b"), "time in the body": derive("", "1614265330b"),
	} {
		if other.ID == one.ID {
			t.Errorf("%s: the same id", name)
		}
	}
	if d := extract(t, webhooks.Extraction{Repeats: true}, "", request("X", "y", "b")); d.ID != "" || d.Derived {
		t.Errorf("repeats: Metadata = %+v, want no id", d)
	}
}
