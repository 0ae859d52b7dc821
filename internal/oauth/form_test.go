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

func encoded(t *testing.T, v any) []byte {
	t.Helper()
	doc, err := json.Marshal(v)
	must(t, err)
	return doc
}
