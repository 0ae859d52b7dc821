package oauth_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

const manyKinds = `{"type":"object","additionalProperties":false,"properties":{
	"name":{"type":"string","default":"R&D \"x\""},
	"level":{"enum":[1,2,3]},
	"places":{"type":"array","items":{"enum":["eu","us","ap"]}},
	"proxy":{"type":"object","properties":{"host":{"type":"string"},"port":{"type":"integer"}}},
	"labels":{"type":"object","additionalProperties":{"type":"string"}},
	"key":{"type":"string","format":"textarea","secret":true},
	"note":{"type":"string","format":"textarea"},
	"strict":{"type":"boolean"}}}`

// Values of every kind that a schema allows can be entered in the form of a connect
// link.
func TestTheFormMakesConfigsOfEveryKind(t *testing.T) {
	t.Parallel()
	schema, err := schema.Parse([]byte(manyKinds))
	must(t, err)
	in := install(t, nil, connectors.Connector{Key: "kinds", Config: schema})
	made := in.session(map[string]any{"connectors": []string{"kinds"}})
	b := testenv.NewBrowser(t)
	_, _, page := b.Get(made.URL)
	for _, want := range []string{`value="R&amp;D &#34;x&#34;"`, `<select multiple id="f-places"`, `name="config.proxy.host"`, `<textarea id="f-key"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the form has no %s:\n%s", want, page)
		}
	}
	status, _, page := b.Post(made.URL, url.Values{
		"connector": {"kinds"}, "config.name": {`R&D "x"`}, "config.level": {"2"}, "config.places": {"eu", "ap"},
		"config.proxy.host": {"h"}, "config.proxy.port": {"8080"}, "config.labels": {`{"a":"b"}`},
		"config.key": {"-----BEGIN KEY-----\nx\n-----END KEY-----"}, "config.note": {`{"is":"text"}`}, "config.strict": {"true"},
	})
	if status != http.StatusOK {
		t.Fatalf("got %d\n%s", status, page)
	}
	c := in.connection("kinds", "")
	doc, err := in.front.Store.OpenConfig(c)
	must(t, err)
	var got map[string]any
	must(t, json.Unmarshal(doc, &got))
	want := map[string]any{
		"name": `R&D "x"`, "level": 2.0, "places": []any{"eu", "ap"}, "proxy": map[string]any{"host": "h", "port": 8080.0},
		"labels": map[string]any{"a": "b"}, "key": "-----BEGIN KEY-----\nx\n-----END KEY-----", "note": `{"is":"text"}`, "strict": true,
	}
	if a, b := string(encoded(t, got)), string(encoded(t, want)); a != b {
		t.Errorf("the config is %s, want %s", a, b)
	}
}

// A number keeps its digits, and what is no number is refused at its field.
func TestTheFormKeepsTheDigitsOfNumbers(t *testing.T) {
	t.Parallel()
	schema, err := schema.Parse([]byte(`{"type":"object","required":["n"],"properties":{"n":{"type":"integer"},"x":{"type":"number"}}}`))
	must(t, err)
	in := install(t, nil, connectors.Connector{Key: "numbers", Config: schema})
	for _, bad := range []string{"1_000", "0x10", "NaN", "1e", "-", "1.5", "1 000", "+1"} {
		made := in.session(map[string]any{"connectors": []string{"numbers"}})
		status, _, page := testenv.NewBrowser(t).Post(made.URL, url.Values{"connector": {"numbers"}, "config.n": {bad}})
		if status != http.StatusBadRequest || !strings.Contains(page, "must be a") {
			t.Errorf("%s: got %d, want a field error\n%s", bad, status, page)
		}
	}
	for text, want := range map[string]string{"1234567890123456789": "1234567890123456789", "1000.0": "1000", " 007 ": "7", "1e3": "1000", "0": "0", "-5": "-5"} {
		made := in.session(map[string]any{"connectors": []string{"numbers"}, "account": "n" + want + text})
		status, _, page := testenv.NewBrowser(t).Post(made.URL, url.Values{"connector": {"numbers"}, "config.n": {text}, "config.x": {".5"}})
		if status != http.StatusOK {
			t.Fatalf("%s: got %d\n%s", text, status, page)
		}
		doc, err := in.front.Store.OpenConfig(in.connection("numbers", "n"+want+text))
		must(t, err)
		if string(doc) != `{"n":`+want+`,"x":0.5}` {
			t.Errorf("%s: the config is %s, want %s", text, doc, want)
		}
	}
}

func encoded(t *testing.T, v any) []byte {
	t.Helper()
	doc, err := json.Marshal(v)
	must(t, err)
	return doc
}
