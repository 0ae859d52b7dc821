package manifest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// answering is the small connector at a server, with another action.
func answering(t *testing.T, action string, handle http.HandlerFunc) *connectors.Connector {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return connectorOf(t, strings.Replace(smallFile, "{effect: read, request: {path: /list}}", action, 1), server.URL)
}

func TestAProgramThatDoesNotEndIsStopped(t *testing.T) {
	t.Parallel()
	c := answering(t, "{request: {path: /list}, output: 'def f: f; f'}", func(http.ResponseWriter, *http.Request) {})
	begin := time.Now()
	_, err := runAction(t, c, "list", `{}`)
	if e := connectors.AsError(err); e.Code != connectors.CodeConnectorActionOutputInvalid || !strings.Contains(e.Message, "did not end within 1s") {
		t.Errorf("after %s: %v", time.Since(begin), err)
	}
}

func TestTheAnswersOfAllPagesHaveABound(t *testing.T) {
	t.Parallel()
	page := `{"items":[1],"next":"x","pad":"` + strings.Repeat("a", 7<<20) + `"}`
	c := answering(t, "{request: {path: /list}, paginate: {by: cursor, next: .body.next, param: c, items: .body.items, max_pages: 100}}",
		func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(page)) })
	if _, err := runAction(t, c, "list", `{}`); connectors.AsError(err).Code != connectors.CodeConnectorActionOutputInvalid {
		t.Errorf("pages without end: %v, want a refusal", err)
	}
}

func TestARuleWithoutAMessageKeepsTheProvidersWords(t *testing.T) {
	t.Parallel()
	c := answering(t, "{request: {path: /list}, errors: [{when: '.body.ok == false', message: .body.reason, code: CONNECTOR_RATE_LIMITED, retry_after: .body.wait}]}",
		func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"ok":false,"error":"slow down","wait":7}`))
		})
	_, err := runAction(t, c, "list", `{}`)
	if e := connectors.AsError(err); e.Code != connectors.CodeConnectorRateLimited || e.RetryAfter != 7*time.Second || !strings.Contains(e.Message, "slow down") {
		t.Errorf("got %v, after %s", err, e.RetryAfter)
	}
}

func TestARequestCannotLeaveTheBaseURL(t *testing.T) {
	t.Parallel()
	c := answering(t, "{effect: read, request: {path: /list}}", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(`"` + r.URL.EscapedPath() + `"`)) })
	for _, path := range []string{"/../x", "/a/%2e%2E/x", "/a%2f..%2fx", "/%zz"} {
		if _, err := runAction(t, c, "request", `{"path":"`+path+`"}`); connectors.AsError(err).Code != connectors.CodeConnectorActionInputInvalid {
			t.Errorf("%s: %v, want a refusal", path, err)
		}
	}
	if out, err := runAction(t, c, "request", `{"path":"/a%20b"}`); err != nil || !strings.Contains(out, `"body":"/a%20b"`) {
		t.Errorf("%s %v", out, err)
	}
	for _, header := range []string{"Authorization", "host", "Cookie", "X\\nY"} {
		if _, err := runAction(t, c, "request", `{"path":"/","headers":{"`+header+`":"x"}}`); err == nil {
			t.Errorf("the header %s is accepted", header)
		}
	}
}
