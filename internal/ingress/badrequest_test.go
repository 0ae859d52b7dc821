package ingress_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestAnInvalidActionRequestIsRefusedWithTheNameOfItsError(t *testing.T) {
	t.Parallel()
	s, _, calls := startActions(t)
	echo := ofAva + "/probe/actions/echo"
	long := strings.Repeat("a", 129)
	for name, c := range map[string]struct {
		query, path string
		header      []string
	}{
		"a key that is not UTF-8":      {"", "Idempotency-Key", []string{"Idempotency-Key", "k\xff\xfe"}},
		"an account that is not UTF-8": {"?account=%FF", "account", nil},
		"an account that is too long":  {"?account=" + long, "account", nil},
		"two accounts":                 {"?account=a&account=b", "account", nil},
		"an unknown parameter":         {"?acount=a", "acount", nil},
		"a malformed query string":     {"?account=%zz", "", nil},
	} {
		r := s.do(t, "POST", echo+c.query, `{}`, c.header...)
		if r.status != http.StatusBadRequest || r.code() != "REQUEST_INVALID" || !strings.Contains(r.body, `"path":"`+c.path+`"`) {
			t.Errorf("%s: %d %s, want 400 that names %q", name, r.status, r.body, c.path)
		}
	}
	if calls.Load() != 0 {
		t.Errorf("%d of them ran", calls.Load())
	}
}

func TestTwoDifferentAccountsAreRefused(t *testing.T) {
	t.Parallel()
	s := serve(t)
	r := s.do(t, "PUT", ofAva+"/probe?account=second", `{"config":`+config+`,"account":"third"}`)
	if r.status != http.StatusBadRequest || !strings.Contains(r.body, `"path":"account"`) {
		t.Errorf("two accounts: %d %s, want a refusal", r.status, r.body)
	}
	if r := s.do(t, "PUT", ofAva+"/probe?account=second", `{"config":`+config+`,"account":"second"}`); r.status != http.StatusCreated {
		t.Errorf("the same account twice: %d %s", r.status, r.body)
	}
}

func TestABodyThatIsTooLargeHasTheCodeOfItsRoute(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.connect(t, "probe")
	for path, code := range map[string]string{
		"/api/v1/connect-sessions":    "REQUEST_TOO_LARGE",
		ofAva + "/probe/toggle":       "REQUEST_TOO_LARGE",
		ofAva + "/probe/actions/noop": "REQUEST_TOO_LARGE",
	} {
		r := s.do(t, "POST", path, `"`+strings.Repeat("x", 2<<20)+`"`)
		if r.status != http.StatusRequestEntityTooLarge || r.code() != code {
			t.Errorf("%s: %d %s, want 413 %s", path, r.status, r.code(), code)
		}
	}
}

// CONNECTOR_NOT_FOUND is for connectors only.
func TestAMissingStreamMessageIsNotFoundWithoutACode(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for _, path := range []string{
		"/dead-letters/1/redrive", "/dead-letters/x/redrive", "/quarantine/7/redrive", "/quarantine/-1/redrive",
		"/webhooks/nonsense/replay", "/webhooks/" + events.NewID() + "/replay",
	} {
		r := s.do(t, "POST", "/api/v1"+path, "")
		if r.status != http.StatusNotFound || r.code() != "" || r.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s, want 404 without a code", path, r.status, r.body)
		}
	}
}

func TestOperatorRoutesRefuseUnknownParameters(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for path, name := range map[string]string{
		"/dead-letters?conector=probe":         "conector",
		"/dead-letters?reason=signature":       "reason",
		"/quarantine?kind=action":              "kind",
		"/quarantine?limit=1&limit=2":          "limit",
		"/quarantine?limit=1&after=0&scope=%z": "",
	} {
		r := s.do(t, "GET", "/api/v1"+path, "")
		if r.status != http.StatusBadRequest || !strings.Contains(r.body, `"path":"`+name+`"`) {
			t.Errorf("%s: %d %s, want 400 that names %q", path, r.status, r.body, name)
		}
	}
	for _, path := range []string{"/dead-letters?limit=1&after=0&kind=action&scope=a&identity=b&connector=c", "/quarantine?limit=1&after=0&connector=a&reason=b&scope=c&identity=d&connection=e"} {
		if r := s.do(t, "GET", "/api/v1"+path, ""); r.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

func TestAReplayRefusesUnknownNames(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.connect(t, "probe")
	for body, path := range map[string]string{
		`{"since":"2026-01-01T00:00:00Z","untill":"2026-01-02T00:00:00Z"}`: "untill", `[]`: "", `{}`: "since", `{"since":"yesterday"}`: "since", "": "",
	} {
		r := s.do(t, "POST", ofAva+"/probe/replay", body)
		if r.status != http.StatusBadRequest || !strings.Contains(r.body, `"path":"`+path+`"`) {
			t.Errorf("%s: %d %s, want 400 that names %q", body, r.status, r.body, path)
		}
	}
	if r := s.do(t, "POST", ofAva+"/probe/replay?acount=a", `{"since":"2026-01-01T00:00:00Z"}`); r.status != http.StatusBadRequest {
		t.Errorf("a misspelt account: %d %s", r.status, r.body)
	}
}

func TestAnActionRequestWithAnInvalidSubjectIsListedInQuarantine(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.StartExecutor(t, &executor.Options{})
	kept := s.Listen(t, "hawser.quarantine.>")
	s.Publish(t, "hawser.action.organization.ava.probe.too.long", nil, `{"secret":"canary"}`)
	kept.Message(t)
	var list struct {
		Items []struct {
			ID, At, Reason, Connector, Path string
			BodyBytes                       int `json:"body_bytes"`
			Redrivable                      bool
		}
	}
	r := s.do(t, "GET", "/api/v1/quarantine", "")
	if err := json.Unmarshal([]byte(r.body), &list); err != nil || len(list.Items) != 1 {
		t.Fatalf("%d %s", r.status, r.body)
	}
	got := list.Items[0]
	if got.Reason != "unroutable" || got.Connector != "probe" || got.Path != "hawser.action.organization.ava.probe.too.long" || got.BodyBytes != 19 || got.Redrivable || strings.HasPrefix(got.At, "0001") {
		t.Errorf("listed as %+v", got)
	}
	if strings.Contains(r.body, "canary") {
		t.Errorf("the list shows the request's data: %s", r.body)
	}
	if r := s.do(t, "POST", "/api/v1/quarantine/"+got.ID+"/redrive", ""); r.status != http.StatusBadRequest {
		t.Errorf("redrive: %d %s", r.status, r.body)
	}
	if r := s.do(t, "GET", "/api/v1/quarantine?scope=organization", ""); r.body != `{"items":[]}` {
		t.Errorf("of a tenant: %s", r.body)
	}
}
