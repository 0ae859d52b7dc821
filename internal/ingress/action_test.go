package ingress_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// startActions starts a site with an executor and the actions:
//
//	echo     returns its input
//	refuse   fails with the provider's 422
//	wait     waits for release
func startActions(t *testing.T) (s *site, release chan struct{}, calls *atomic.Int32) {
	t.Helper()
	release, calls = make(chan struct{}), &atomic.Int32{}
	s = serve(t, testenv.Probe("probe", "",
		connectors.Action{Key: "echo", Idempotent: true, Handler: func(_ context.Context, _ *connectors.Call, in json.RawMessage) (json.RawMessage, error) {
			calls.Add(1)
			return in, nil
		}},
		connectors.Action{Key: "refuse", Idempotent: true, Handler: func(context.Context, *connectors.Call, json.RawMessage) (json.RawMessage, error) {
			return nil, &connectors.ProviderError{Status: 422, Message: "no such channel"}
		}},
		connectors.Action{Key: "wait", Idempotent: true, Handler: func(context.Context, *connectors.Call, json.RawMessage) (json.RawMessage, error) {
			calls.Add(1)
			<-release
			return json.RawMessage(`"waited"`), nil
		}}))
	t.Cleanup(sync.OnceFunc(func() {
		select {
		case <-release:
		default:
			close(release)
		}
	}))
	s.StartExecutor(t, nil)
	s.connect(t, "probe")
	return s, release, calls
}

func TestAnActionOverHTTPAnswersWithItsResult(t *testing.T) {
	t.Parallel()
	s, _, _ := startActions(t)
	actions := ofAva + "/probe/actions/"
	for name, c := range map[string]struct {
		path, body string
		header     []string
		status     int
		want       string
	}{
		"a success":              {actions + "echo", `{"a":1}`, nil, 200, `{"data":{"a":1},"id":"`},
		"an empty input":         {actions + "echo", ``, nil, 200, `{"data":{},"id":"`},
		"a failure":              {actions + "refuse", `{}`, nil, 502, `"code":"CONNECTOR_ACTION_FAILED","provider_status":422}`},
		"broken JSON":            {actions + "echo", `{`, nil, 400, `"code":"CONNECTOR_ACTION_INPUT_INVALID"`},
		"unknown action":         {actions + "nonsuch", `{}`, nil, 404, `"code":"CONNECTOR_ACTION_NOT_FOUND"`},
		"unknown connector":      {ofAva + "/ghost/actions/echo", `{}`, nil, 404, `"code":"CONNECTOR_NOT_FOUND"`},
		"not connected":          {ofBob + "/probe/actions/echo", `{}`, nil, 404, `"code":"CONNECTOR_NOT_CONNECTED"`},
		"another account":        {actions + "echo?account=second", `{}`, nil, 404, `"code":"CONNECTOR_NOT_CONNECTED"`},
		"unknown scope":          {"/api/v1/scopes/galaxy/a/connections/probe/actions/echo", `{}`, nil, 400, `"code":"CONNECTOR_SCOPE_INVALID"`},
		"no default config":      {"/api/v1/connectors/probe/actions/echo", `{}`, nil, 400, `"code":"CONNECTOR_DEFAULT_CONFIG_REQUIRED"`},
		"a key too long":         {actions + "echo", `{}`, []string{"Idempotency-Key", strings.Repeat("k", 129)}, 400, `"path":"Idempotency-Key"`},
		"a key that is no ASCII": {actions + "echo", `{}`, []string{"Idempotency-Key", "k\xff"}, 400, `"path":"Idempotency-Key"`},
		"two keys":               {actions + "echo", `{}`, []string{"Idempotency-Key", "a", "Idempotency-key", "b"}, 200, ""},
		"an invalid preference":  {actions + "echo", `{}`, []string{"Prefer", "wait=soon"}, 400, `"path":"Prefer"`},
		"below zero":             {actions + "echo", `{}`, []string{"Prefer", "wait=-1"}, 400, `"path":"Prefer"`},
		"other preferences":      {actions + "echo", `{}`, []string{"Prefer", `respond-async, Wait = "20"; x=y, handling=lenient`}, 200, `{"data":{},"id":"`},
		"more than a minute":     {actions + "echo", `{}`, []string{"Prefer", "wait=86400"}, 200, `{"data":{},"id":"`},
		"too large":              {actions + "echo", `"` + strings.Repeat("x", 768<<10) + `"`, nil, 413, `"code":"REQUEST_TOO_LARGE"`},
		"as large as can be":     {actions + "echo", `"` + strings.Repeat("x", 768<<10-2) + `"`, nil, 200, ""},
	} {
		r := s.do(t, "POST", c.path, c.body, c.header...)
		if r.status != c.status || !strings.Contains(r.body, c.want) {
			t.Errorf("%s: %d %.300s, want %d %s", name, r.status, r.body, c.status, c.want)
		}
	}
}

func TestAResultThatTakesLongerCanBeFetchedLater(t *testing.T) {
	t.Parallel()
	s, release, calls := startActions(t)
	path := ofAva + "/probe/actions/wait"
	var pending struct {
		ID  string `json:"id"`
		URL string `json:"result_url"`
	}
	for _, wait := range []string{"wait=0", "wait=1"} {
		r := s.do(t, "POST", path, "{}", "Prefer", wait, "Idempotency-Key", "k 1")
		if err := json.Unmarshal([]byte(r.body), &pending); err != nil || r.status != http.StatusAccepted || pending.ID != "k 1" {
			t.Fatalf("%s: %d %s", wait, r.status, r.body)
		}
	}
	result, ok := strings.CutPrefix(pending.URL, "https://hooks.example.test")
	if !ok {
		t.Fatalf("result_url %q", pending.URL)
	}
	if r := s.do(t, "GET", result, ""); r.status != http.StatusNotFound {
		t.Errorf("before it is done: %d %s", r.status, r.body)
	}
	close(release)
	testenv.Eventually(t, "the result is there", func() bool { return s.do(t, "GET", result, "").status == http.StatusOK })
	for _, path := range []string{result, "/api/v1/results/k%201"} {
		if r := s.do(t, "GET", path, ""); r.body != `{"data":"waited","id":"k 1"}` {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	if r := s.do(t, "POST", path, "{}", "Idempotency-Key", "k 1"); r.status != http.StatusOK || r.body != `{"data":"waited","id":"k 1"}` {
		t.Errorf("the same request again: %d %s", r.status, r.body)
	}
	if calls.Load() != 1 {
		t.Errorf("%d calls of one request, want 1", calls.Load())
	}
}

func TestResultsOfTwoTenantsWithTheSameIDStayApart(t *testing.T) {
	t.Parallel()
	s, _, _ := startActions(t)
	if r := s.do(t, "PUT", ofBob+"/probe", `{"config":`+config+`}`); r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	}
	for _, base := range []string{ofAva, ofBob} {
		want := fmt.Sprintf(`{"data":{"of":%q},"id":"same"}`, base)
		if r := s.do(t, "POST", base+"/probe/actions/echo", fmt.Sprintf(`{"of":%q}`, base), "Idempotency-Key", "same"); r.body != want {
			t.Errorf("%d %s, want %s", r.status, r.body, want)
		}
	}
	if r := s.do(t, "GET", "/api/v1/results/same", ""); r.status != http.StatusBadRequest {
		t.Errorf("by the bare id: %d %s, want a refusal: it could be either", r.status, r.body)
	}
	ref := events.Reference(testenv.Ref(bob, "probe", "echo"), "same")
	if r := s.do(t, "GET", "/api/v1/results/"+ref, ""); r.body != fmt.Sprintf(`{"data":{"of":%q},"id":"same"}`, ofBob) {
		t.Errorf("by reference: %d %s", r.status, r.body)
	}
	for _, guess := range []string{"organization.bob.probe.echo.*", "organization.bob.probe.echo.%3E", "*.*.*.*.same", "organization.bob.probe.*.same", "%2A", "%3E", strings.Repeat("x", 5000), "a%20b", "%00"} {
		if r := s.do(t, "GET", "/api/v1/results/"+guess, ""); r.status != http.StatusNotFound {
			t.Errorf("%.40s: %d %s, want 404", guess, r.status, r.body)
		}
	}
}

func TestRequestsThatWaitForResultsLeaveSlotsForWebhooks(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	n := testenv.StartNode(t, &testenv.NodeOptions{BaseURL: "https://hooks.example.test", Connectors: []connectors.Connector{testenv.Probe("probe", "",
		connectors.Action{Key: "wait", Idempotent: true, Handler: func(context.Context, *connectors.Call, json.RawMessage) (json.RawMessage, error) {
			<-release
			return json.RawMessage(`1`), nil
		}})}})
	s := &site{n, n.StartIngress(t, &ingress.Options{BaseURL: "https://hooks.example.test", MaxRequests: 4})}
	n.StartExecutor(t, nil)
	path := s.connect(t, "probe")
	var group sync.WaitGroup
	var done [2]reply
	for i := range done {
		group.Go(func() { done[i] = s.do(t, "POST", ofAva+"/probe/actions/wait", "{}") })
	}
	testenv.Eventually(t, "both wait", func() bool { return n.Count(t, events.Actions, ">") == 2 })
	for range 3 {
		if r := s.do(t, "POST", ofAva+"/probe/actions/wait", "{}"); r.status != http.StatusAccepted {
			t.Errorf("beyond the slots for waiting: %d %s, want 202", r.status, r.body)
		}
		if r := s.deliver(t, path, events.NewID(), "{}"); r.status != http.StatusAccepted {
			t.Errorf("a webhook: %d %s", r.status, r.body)
		}
	}
	close(release)
	group.Wait()
	for _, r := range done {
		if r.status != http.StatusOK {
			t.Errorf("a request that waited: %d %s", r.status, r.body)
		}
	}
}

func TestTheReadTimeoutDoesNotEndTheWaitForAResult(t *testing.T) {
	t.Parallel()
	s, release, _ := startActions(t)
	s.Front = s.StartIngress(t, nil, func(server *http.Server) { server.ReadTimeout = 300 * time.Millisecond })
	began := time.Now()
	time.AfterFunc(900*time.Millisecond, func() { close(release) })
	if r := s.do(t, "POST", ofAva+"/probe/actions/wait", "{}", "Prefer", "wait=20"); r.status != http.StatusOK {
		t.Errorf("%d %s after %v, want the result", r.status, r.body, time.Since(began))
	}
}
