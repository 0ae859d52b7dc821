package connectors_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// provider answers by path, and returns a call to it.
func provider(t *testing.T, handle http.HandlerFunc) *connectors.Call {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return &connectors.Call{BaseURL: server.URL + "/v1", HTTP: server.Client(), IdempotencyKey: "key-1"}
}

func TestJSONSendsAndDecodes(t *testing.T) {
	t.Parallel()
	call := provider(t, func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		_ = json.NewEncoder(w).Encode([]any{r.Method, r.URL.String(), r.Header.Get("Accept"), r.Header.Get("Key"), r.Header.Get("X"), body})
	})
	got, err := connectors.JSON[[]any](t.Context(), call, connectors.JSONRequest{
		Path: "/a%2Fb", Query: map[string][]string{"q": {"1 2"}}, Header: http.Header{"x": {"y"}}, Body: map[string]int{"n": 1}, IdempotencyHeader: "Key",
	})
	want := []any{"POST", "/v1/a%2Fb?q=1+2", "application/json", "key-1", "y", map[string]any{"n": 1.0}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("JSON: %v (-want +got):\n%s", err, diff)
	}
}

func TestJSONReturnsTheProvidersWordsAndDelay(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/limit": "the provider answered 429: slow down", "/html": "the provider answered 502",
		"/wrong":                       "CONNECTOR_ACTION_OUTPUT_INVALID: the answer of the provider does not fit map[string]int",
		"http://127.0.0.1:1/elsewhere": "CONNECTOR_ACTION_FAILED: the URL of the request is of another origin than the base URL",
	} {
		call := provider(t, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/v1/limit":
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(http.StatusTooManyRequests)
				_, _ = w.Write([]byte(`{"error":{"message":"slow down"}}`))
			case "/v1/html":
				w.WriteHeader(http.StatusBadGateway)
				_, _ = w.Write([]byte(`<html>`))
			default:
				_, _ = w.Write([]byte(`{"a":"canary"}`))
			}
		})
		_, err := connectors.JSON[map[string]int](t.Context(), call, connectors.JSONRequest{Path: path})
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
		if p, ok := errors.AsType[*connectors.ProviderError](err); path == "/limit" && (!ok || p.RetryAfter != 7*time.Second) {
			t.Errorf("%s: %v has lost the delay", path, err)
		}
	}
}

func TestPagesFollowsEachPage(t *testing.T) {
	t.Parallel()
	call := provider(t, func(w http.ResponseWriter, r *http.Request) {
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		if page == 3 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		_ = json.NewEncoder(w).Encode([]int{page})
	})
	first := connectors.JSONRequest{Path: "/list", Query: map[string][]string{"page": {"0"}}}
	var got [][]int
	var last error
	for page, err := range connectors.Pages(t.Context(), call, first, func(page []int, _ http.Header) (connectors.JSONRequest, bool) {
		return connectors.JSONRequest{Path: "/list", Query: map[string][]string{"page": {strconv.Itoa(page[0] + 1)}}}, true
	}) {
		if last = err; err == nil {
			got = append(got, page)
		}
	}
	if diff := cmp.Diff([][]int{{0}, {1}, {2}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if p, ok := errors.AsType[*connectors.ProviderError](last); !ok || p.Status != http.StatusForbidden {
		t.Errorf("the last error is %v, want the provider's 403", last)
	}
}
