package manifest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/connectors/manifest"
)

const smallFile = `key: small
config: {properties: {}}
base_url: https://small.example
actions:
  list: {effect: read, request: {path: /list}}
`

// bases are YAML texts by their keys.
type bases map[string]string

func (b bases) Connector(key string) ([]byte, bool) { text, ok := b[key]; return []byte(text), ok }
func (b bases) Webhook(name string) ([]byte, bool)  { return b.Connector("webhook/" + name) }

func TestBadFilesAreRefusedWithTheirLine(t *testing.T) {
	t.Parallel()
	var bomb strings.Builder
	bomb.WriteString(smallFile + "metadata:\n  name: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 12 {
		fmt.Fprintf(&bomb, "  n%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i+1, i, i, i, i, i, i, i, i)
	}
	deep := smallFile + "default_config: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "\n"
	list := "list: {effect: read, request: {path: /list}}"
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":               {"", "bad.yaml:1:1: the file is empty"},
		"a list":                {"- a\n", "bad.yaml:1:1: the file must be a mapping"},
		"no YAML":               {"key: [\n", "is not YAML"},
		"a key twice":           {smallFile + "key: again\n", "bad.yaml:6:1: key occurs twice"},
		"an action twice":       {strings.Replace(smallFile, list, list+"\n  "+list, 1), "bad.yaml:6:3: list occurs twice"},
		"two documents":         {smallFile + "---\nkey: b\n", "there is a second document"},
		"an anchor bomb":        {bomb.String(), "aliases or nesting make the document too large"},
		"an alias of itself":    {smallFile + "metadata: &m {name: *m}\n", "bad.yaml:"},
		"deep nesting":          {deep, "aliases or nesting make the document too large"},
		"a huge file":           {smallFile + strings.Repeat("# x\n", 200_000), "the file has more than"},
		"no such base":          {"extends: nobody\n" + smallFile, `bad.yaml:1:10: extends names the connector "nobody", which does not exist`},
		"bases in a circle":     {"extends: a\nkey: c\n", "makes a definition begin from itself"},
		"an unknown root":       {strings.Replace(smallFile, "/list}", "/list, query: {a: '${app.client_id}'}}", 1), "bad.yaml:5:55: actions.list.request.query.a names ${app.client_id}"},
		"an unknown field":      {strings.Replace(smallFile, "/list}", "'/list/${config.nothing}'}", 1), `names the config field "nothing"`},
		"another expression":    {strings.Replace(smallFile, "/list}", "'/list/${1 + 1}'}", 1), `may contain "${" only in a placeholder`},
		"no jq":                 {strings.Replace(smallFile, "/list}", "/list}, output: '.body |'", 1), "actions.list.output is not a jq program"},
		"a file of jq":          {strings.Replace(smallFile, "/list}", "/list}, output: 'include \"x\"; .'", 1), "actions.list.output is not a jq program"},
		"a pattern of Perl":     {strings.Replace(smallFile, "{properties: {}}", "{properties: {a: {type: string, pattern: '(?=x)'}}}", 1), "bad.yaml:2:"},
		"a huge pattern":        {strings.Replace(smallFile, "{properties: {}}", "{properties: {a: {type: string, pattern: '((a{1000}){1000}){1000}'}}}", 1), "bad.yaml:2:"},
		"a schema in a circle":  {strings.Replace(smallFile, "{properties: {}}", "{$ref: '#'}", 1), "bad.yaml:2:"},
		"a body of GET":         {strings.Replace(smallFile, "/list}", "/list, body: {a: 1}}", 1), "actions.list.request.method is GET, which has no body"},
		"a key in three places": {strings.Replace(smallFile, "effect: read,", "idempotency_key: {header: A, query: b},", 1), "needs one of header, query and body"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := manifest.Parse("bad.yaml", []byte(tt.text), bases{"a": "extends: b\nkey: a\n", "b": "extends: a\nkey: b\n"})
			problems, ok := errors.AsType[manifest.Problems](err)
			if !ok || !strings.Contains(problems.Error(), tt.want) {
				t.Errorf("Parse = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAFileBeginsFromItsBases(t *testing.T) {
	t.Parallel()
	const text = "extends: small\nkey: own\nbase_url: https://own.example\nwebhook: {extends: signed, max_body: 5}\nactions: {list: null, get: {effect: read, request: {path: /get}}}\n"
	c, err := manifest.Parse("own.yaml", []byte(text), bases{"small": smallFile, "webhook/signed": "verify: [{scheme: unsigned}]\nmax_body: 7\n"})
	if err != nil {
		t.Fatal(err)
	}
	if _, old := c.Action("list"); old || c.Key != "own" || c.BaseURL != "https://own.example" || c.Webhook.MaxBody != 5 || len(c.Webhook.Verify) != 1 {
		t.Errorf("got %v", c)
	}
}
