package ingress_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// idOf returns the member "id" of an answer.
func (r reply) idOf() string {
	var body struct{ ID string }
	_ = json.Unmarshal([]byte(r.body), &body)
	return body.ID
}

func TestAnIdempotencyKeyIsOfOneAccount(t *testing.T) {
	t.Parallel()
	s, _, calls := startActions(t)
	if r := s.do(t, "PUT", ofAva+"/probe?account=second", `{"config":`+config+`}`); r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	}
	for _, account := range []string{"", "?account=second", "?account=default"} {
		r := s.do(t, "POST", ofAva+"/probe/actions/echo"+account, `{"of":"`+account+`"}`, "Idempotency-Key", "k")
		if account == "?account=default" {
			if r.status != http.StatusUnprocessableEntity {
				t.Errorf("the default account by name: %d %s, want the first request's conflict", r.status, r.body)
			}
		} else if !strings.Contains(r.body, `{"of":"`+account+`"}`) {
			t.Errorf("%q: %d %s, want its own result", account, r.status, r.body)
		}
	}
	if calls.Load() != 2 {
		t.Errorf("%d calls, want 2", calls.Load())
	}
	if r := s.do(t, "GET", "/api/v1/results/k?account=second", ""); !strings.Contains(r.body, "second") {
		t.Errorf("by id and account: %d %s", r.status, r.body)
	}
}

func TestAnIdempotencyKeyWithAnotherBodyIsAConflict(t *testing.T) {
	t.Parallel()
	s, release, calls := startActions(t)
	path, conflict := ofAva+"/probe/actions/echo", "CONNECTOR_IDEMPOTENCY_CONFLICT"
	s.do(t, "POST", path, `{"a":1,"b":2}`, "Idempotency-Key", "k")
	for _, wait := range []string{"wait=0", "wait=10"} {
		if r := s.do(t, "POST", path, `{"a":2}`, "Idempotency-Key", "k", "Prefer", wait); r.status != http.StatusUnprocessableEntity || r.code() != conflict || r.idOf() != "k" {
			t.Errorf("another body, %s: %d %s", wait, r.status, r.body)
		}
		if r := s.do(t, "POST", path, `{ "b":2, "a":1 }`, "Idempotency-Key", "k", "Prefer", wait); r.status != http.StatusOK || !strings.Contains(r.body, `{"a":1,"b":2}`) {
			t.Errorf("the same value, %s: %d %s", wait, r.status, r.body)
		}
	}
	// While the first one runs.
	first, second := make(chan reply, 1), make(chan reply, 1)
	slow := ofAva + "/probe/actions/wait"
	go func() { first <- s.do(t, "POST", slow, `{"a":1}`, "Idempotency-Key", "k") }()
	testenv.Eventually(t, "the first runs", func() bool { return calls.Load() == 2 })
	go func() { second <- s.do(t, "POST", slow, `{"a":2}`, "Idempotency-Key", "k") }()
	testenv.Eventually(t, "the second is stored", func() bool { return s.Count(t, events.Actions, ">") == 2 })
	close(release)
	if r := <-first; r.status != http.StatusOK {
		t.Errorf("the first: %d %s", r.status, r.body)
	}
	if r := <-second; r.code() != conflict {
		t.Errorf("the second: %d %s", r.status, r.body)
	}
	if calls.Load() != 2 {
		t.Errorf("%d calls, want 2", calls.Load())
	}
}

func TestEveryAnswerAboutAnActionHasOneID(t *testing.T) {
	t.Parallel()
	s, _, _ := startActions(t)
	actions := ofAva + "/probe/actions/"
	for name, c := range map[string]struct {
		path, body string
		header     []string
		status     int
		id         string
	}{
		"a result":           {actions + "echo", `{}`, nil, 200, ""},
		"a result by key":    {actions + "echo", `{}`, []string{"Idempotency-Key", "one"}, 200, "one"},
		"a failure by key":   {actions + "refuse", `{}`, []string{"Idempotency-Key", "two"}, 502, "two"},
		"accepted":           {actions + "echo", `{"x":1}`, []string{"Prefer", "wait=0"}, 202, ""},
		"a refusal by key":   {actions + "none", `{}`, []string{"Idempotency-Key", "three"}, 404, "three"},
		"too large, by key":  {actions + "echo", strings.Repeat(" ", 769<<10), []string{"Idempotency-Key", "four"}, 413, "four"},
		"a wrong preference": {actions + "echo", `{}`, []string{"Idempotency-Key", "five", "Prefer", "wait=x"}, 400, "five"},
		"a wrong key":        {actions + "echo", `{}`, []string{"Idempotency-Key", strings.Repeat("k", 129)}, 400, ""},
	} {
		r := s.do(t, "POST", c.path, c.body, c.header...)
		id := r.header.Get("X-Request-Id")
		if r.status != c.status || id == "" || r.idOf() != id || c.id != "" && id != c.id || len(r.header.Values("X-Request-Id")) != 1 {
			t.Errorf("%s: %d, header %q, body %.300s", name, r.status, id, r.body)
		}
	}
	if r := s.do(t, "GET", "/api/v1/results/one", ""); r.header.Get("X-Request-Id") != "one" || r.idOf() != "one" {
		t.Errorf("a stored result: %v %s", r.header, r.body)
	}
}

func TestAStopAnswersRequestsThatWait(t *testing.T) {
	t.Parallel()
	s, _, calls := startActions(t)
	answer := make(chan reply, 1)
	go func() {
		answer <- s.do(t, "POST", ofAva+"/probe/actions/wait", "{}", "Prefer", "wait=60", "Idempotency-Key", "k")
	}()
	testenv.Eventually(t, "it runs", func() bool { return calls.Load() == 1 })
	s.Front.Drain()
	if r := testenv.Receive(t, "the answer", answer); r.status != http.StatusAccepted || r.idOf() != "k" || !strings.Contains(r.body, "result_url") {
		t.Errorf("%d %s, want 202 with the id", r.status, r.body)
	}
}

func TestTheCodesOfARequestItself(t *testing.T) {
	t.Parallel()
	s, _, _ := startActions(t)
	for name, c := range map[string]struct {
		method, path, body string
		header             []string
		code               connectors.Code
	}{
		"limit":              {"GET", "/api/v1/connectors?limit=abc", "", nil, connectors.CodeRequestInvalid},
		"limit of a stream":  {"GET", "/api/v1/dead-letters?limit=abc", "", nil, connectors.CodeRequestInvalid},
		"an unknown one":     {"GET", ofAva + "?nonsuch=1", "", nil, connectors.CodeRequestInvalid},
		"since":              {"GET", "/api/v1/events?since=yesterday", "", nil, connectors.CodeRequestInvalid},
		"a key":              {"POST", ofAva + "/probe/actions/echo", "{}", []string{"Idempotency-Key", strings.Repeat("k", 200)}, connectors.CodeRequestInvalid},
		"a large config":     {"PUT", ofAva + "/probe", `{"config":{"apiKey":"` + strings.Repeat("k", 2<<20) + `"}}`, nil, connectors.CodeRequestTooLarge},
		"a large proxy call": {"POST", ofAva + "/probe/proxy/x", strings.Repeat("k", 2<<20), nil, connectors.CodeRequestTooLarge},
		"the config itself":  {"PUT", ofAva + "/probe?account=x", `{"config":{"apiKey":7}}`, nil, connectors.CodeConnectorConfigInvalid},
	} {
		if r := s.do(t, c.method, c.path, c.body, c.header...); r.code() != string(c.code) {
			t.Errorf("%s: %d %.300s, want %s", name, r.status, r.body, c.code)
		}
	}
}
