package ingress_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/golden"
)

func TestTheLogHasRequestAndTraceAndNoSecret(t *testing.T) {
	t.Parallel()
	s := serve(t)
	const canary = "canary0123456789"
	r := s.do(t, "PUT", ofAva+"/probe", `{"config":{"apiKey":"`+canary+`-key","webhookSecret":"`+canary+`-hook"}}`)
	path := webhookPath(t, r)
	url := path[strings.LastIndex(path, "/")+1:]
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	r = s.do(t, "GET", ofAva+"/probe?account="+canary, "", "Traceparent", parent)
	id := r.header.Get("X-Request-Id")
	if lines := s.Log.Lines(`"request_id":"`+id+`"`, `"trace_id":"0af7651916cd43dd8448eb211c80319c"`, `"status":404`, `"code":"CONNECTOR_NOT_CONNECTED"`, `"route":"GET /api/v1/scopes/{scope}/{identity}/connections/{connector}"`); len(lines) != 1 {
		t.Errorf("%d lines are about request %s, want 1: %s", len(lines), id, s.Log.Lines(id))
	}
	s.do(t, "POST", path+"?token="+canary, canary, "X-Canary", canary)
	s.do(t, "POST", path+"/more?token="+canary, canary)
	s.do(t, "POST", strings.Replace(path, "/probe/", "/"+canary+"/", 1), "{}")
	s.do(t, "GET", "/"+canary+"?"+canary, "", "Authorization", "Bearer "+canary)
	s.target(t, "CANARY"+canary, path)
	s.do(t, "POST", ofAva+"/probe/resolve", "")
	if err := s.Env.Stop(); err != nil {
		t.Fatal(err)
	}
	s.do(t, "POST", path+"?token="+canary, canary)
	s.do(t, "GET", ofAva+"?name="+canary, "")
	for _, secret := range []string{canary, url, s.Token.Reveal(), "ava@example.com"} {
		if lines := s.Log.Lines(secret); len(lines) > 0 {
			t.Errorf("the log has %q: %s", secret, lines)
		}
	}
	if len(s.Log.Lines(`"message":"http"`)) < 8 {
		t.Errorf("want at least 8 lines about requests, got %s", s.Log)
	}
}

func TestProblemDocumentsAreUnchanged(t *testing.T) {
	t.Parallel()
	s := serve(t)
	path := s.connect(t, "probe")
	var got bytes.Buffer
	for _, c := range []struct{ name, method, path, body, authorization string }{
		{"no token", "GET", ofAva, "", "-"},
		{"field errors", "PUT", ofBob + "/probe", `{"config":{"channel":1},"confg":2}`, ""},
		{"config errors", "PUT", ofBob + "/probe", `{"config":{"channel":1,"more":2}}`, ""},
		{"conflict", "PUT", ofAva + "/probe", `{"config":` + config + `}`, ""},
		{"not connected", "GET", ofBob + "/probe", "", ""},
		{"no such path", "GET", "/api/v1/nonsuch", "", ""},
		{"other method", "POST", "/api/v1/connectors", "", ""},
		{"no result", "GET", "/api/v1/results/x", "", ""},
		{"webhook refused", "POST", path, "{}", "-"},
		{"webhook too large", "POST", path, strings.Repeat("x", 64<<10+1), "-"},
	} {
		header := []string{}
		if c.authorization == "-" {
			header = append(header, "Authorization", "")
		}
		r := s.do(t, c.method, c.path, c.body, header...)
		var indented bytes.Buffer
		if err := json.Indent(&indented, []byte(r.body), "", "  "); err != nil {
			t.Fatalf("%s: %d %s", c.name, r.status, r.body)
		}
		fmt.Fprintf(&got, "-- %s --\n%d %s", c.name, r.status, r.header.Get("Content-Type"))
		for _, name := range []string{"WWW-Authenticate", "Allow", "Retry-After"} {
			if v := r.header.Get(name); v != "" {
				fmt.Fprintf(&got, "\n%s: %s", name, v)
			}
		}
		fmt.Fprintf(&got, "\n%s\n", indented.Bytes())
	}
	golden.Text(t, "problems.golden", got.Bytes())
}
