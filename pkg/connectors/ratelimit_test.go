package connectors_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// Every way in which providers are known to tell of their limits, said as data.
func TestResponseErrorReadsTheProvidersRateLimit(t *testing.T) {
	t.Parallel()
	inAnHour := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	epoch, millis := fmt.Sprint(inAnHour.Unix()), fmt.Sprint(inAnHour.UnixMilli())
	window := func(form connectors.ExpiryForm) []connectors.RateWindow {
		return []connectors.RateWindow{{Remaining: "X-Remaining", Reset: "X-Reset", Form: form}}
	}
	two := []connectors.RateWindow{
		{Remaining: "X-Daily-Remaining", Reset: "X-Daily-Reset", Form: connectors.ExpiryEpochMillis},
		{Remaining: "X-Minutely-Remaining", Reset: "X-Minutely-Reset", Form: connectors.ExpiryEpochMillis},
	}
	aMinute := fmt.Sprint(time.Now().Add(time.Minute).UnixMilli())
	sentence := &connectors.RateLimit{Statuses: []int{403}, Text: `(?:rateLimitExceeded|Retry after ([0-9TZ:.-]+))`}
	for _, tc := range []struct {
		name    string
		limit   *connectors.RateLimit
		status  int
		header  map[string]string
		body    string
		limited bool
		after   time.Duration
	}{
		{"429 alone", nil, 429, nil, "", true, 0},
		{"seconds to wait", nil, 429, map[string]string{"Retry-After": "7"}, "", true, 7 * time.Second},
		{"parts of a second", nil, 429, map[string]string{"Retry-After": "1.5"}, "", true, 1500 * time.Millisecond},
		{"a date to wait for", nil, 503, map[string]string{"Retry-After": inAnHour.Format(http.TimeFormat)}, "", false, time.Hour},
		{"another refusal", nil, 403, nil, "", false, 0},
		{"403 and an empty window in epoch seconds", &connectors.RateLimit{Statuses: []int{403}, Windows: window(connectors.ExpiryEpoch)}, 403,
			map[string]string{"X-Remaining": "0", "X-Reset": epoch}, "", true, time.Hour},
		{"403 and a window that is not empty", &connectors.RateLimit{Statuses: []int{403}, Windows: window(connectors.ExpiryEpoch)}, 403,
			map[string]string{"X-Remaining": "12", "X-Reset": epoch}, "", false, 0},
		{"403 and Retry-After", &connectors.RateLimit{Statuses: []int{403}}, 403, map[string]string{"Retry-After": "60"}, "", true, time.Minute},
		{"403 that is none of it", &connectors.RateLimit{Statuses: []int{403}, Windows: window(connectors.ExpiryEpoch)}, 403, nil, "", false, 0},
		{"400 and a reset in milliseconds", &connectors.RateLimit{Statuses: []int{400}, Text: "RATELIMITED", Windows: window(connectors.ExpiryEpochMillis)}, 400,
			map[string]string{"X-Remaining": "0", "X-Reset": millis}, `{"errors":[{"extensions":{"code":"RATELIMITED"}}]}`, true, time.Hour},
		{"400 by its text alone", &connectors.RateLimit{Statuses: []int{400}, Text: "RATELIMITED"}, 400, nil, `{"code":"RATELIMITED"}`, true, 0},
		{"400 of another kind", &connectors.RateLimit{Statuses: []int{400}, Text: "RATELIMITED"}, 400, nil, `{"code":"INVALID"}`, false, 0},
		{"the text with a status that it is not for", sentence, 404, nil, "Retry after 2026-01-01T00:00:00Z", false, 0},
		{"a time in a sentence", sentence, 403, nil, `{"error":{"message":"User-rate limit exceeded.  Retry after ` + inAnHour.Format("2006-01-02T15:04:05.000Z") + `"}}`, true, time.Hour},
		{"a sentence without a time", sentence, 403, nil, `{"reason":"rateLimitExceeded"}`, true, 0},
		{"seconds in a sentence", &connectors.RateLimit{Text: `try again in ([0-9.]+m?s)`}, 429, nil, "Please try again in 20s.", true, 20 * time.Second},
		{"a reset in seconds from now", &connectors.RateLimit{Windows: window(connectors.ExpirySeconds)}, 429, map[string]string{"X-Remaining": "0", "X-Reset": "42"}, "", true, 42 * time.Second},
		{"a reset that is there only when it counts", &connectors.RateLimit{Windows: []connectors.RateWindow{{Reset: "ratelimit-reset"}}}, 429, map[string]string{"Ratelimit-Reset": "42"}, "", true, 42 * time.Second},
		{"two windows, the longer empty", &connectors.RateLimit{Windows: two}, 429,
			map[string]string{"X-Daily-Remaining": "0", "X-Daily-Reset": millis, "X-Minutely-Remaining": "0", "X-Minutely-Reset": aMinute}, "", true, time.Hour},
		{"two windows, the shorter empty", &connectors.RateLimit{Windows: two}, 429,
			map[string]string{"X-Daily-Remaining": "100", "X-Daily-Reset": millis, "X-Minutely-Remaining": "0", "X-Minutely-Reset": aMinute}, "", true, time.Minute},
		{"a reset that was misread", &connectors.RateLimit{Windows: window(connectors.ExpirySeconds)}, 429, map[string]string{"X-Remaining": "0", "X-Reset": epoch}, "", true, 24 * time.Hour},
		{"nonsense", &connectors.RateLimit{Windows: window(connectors.ExpiryEpoch)}, 429, map[string]string{"X-Remaining": "none", "X-Reset": "soon", "Retry-After": "later"}, "", true, 0},
		{"a reset that has passed", &connectors.RateLimit{Windows: window(connectors.ExpiryEpoch)}, 429, map[string]string{"X-Remaining": "0", "X-Reset": "1700000000"}, "", true, 0},
		{"by the provider's own clock", &connectors.RateLimit{Windows: window(connectors.ExpiryEpoch)}, 429,
			map[string]string{"X-Remaining": "0", "X-Reset": epoch, "Date": inAnHour.Add(-time.Minute).Format(http.TimeFormat)}, "", true, time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for name, value := range tc.header {
					w.Header().Set(name, value)
				}
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			}))
			t.Cleanup(provider.Close)
			call := &connectors.Call{HTTP: provider.Client(), BaseURL: provider.URL, RateLimit: tc.limit}
			answer, err := call.HTTP.Get(call.BaseURL)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = answer.Body.Close() }()
			body, err := io.ReadAll(answer.Body)
			if err != nil {
				t.Fatal(err)
			}
			got := call.ResponseError(answer, body)
			if got.Status != tc.status || got.RateLimited != tc.limited || (got.RetryAfter-tc.after).Abs() > 5*time.Second {
				t.Errorf("got %d limited=%v after %s, want limited=%v after %s", got.Status, got.RateLimited, got.RetryAfter, tc.limited, tc.after)
			}
			e := connectors.AsError(got)
			if limited := e.Code == connectors.CodeConnectorRateLimited; limited != tc.limited || limited && !connectors.IsRetryable(got) {
				t.Errorf("as an error: %v, retryable %v", e, connectors.IsRetryable(got))
			}
		})
	}
}

func TestRegisterRefusesAnInvalidRateLimit(t *testing.T) {
	t.Parallel()
	c := service(func(c *connectors.Connector, _ *connectors.OAuth2) {
		c.RateLimit = &connectors.RateLimit{Statuses: []int{403, 200}, Text: "(a)(b)", Windows: []connectors.RateWindow{
			{Remaining: "X Remaining", Reset: "", Form: "jwt"}, {Reset: "X-Reset", Form: connectors.ExpiryEpochMillis},
		}}
	})
	const want = `rate_limit.statuses must be between 400 and 599, got 200; rate_limit.text must have at most one group: the time of the next attempt; ` +
		`rate_limit.windows.0.form is unknown: "jwt"; rate_limit.windows.0.remaining is not the name of a header; rate_limit.windows.0.reset is not the name of a header`
	err := connectors.NewRegistry().Register(c)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Register = %v,\nwant %s", err, want)
	}
	c.RateLimit = &connectors.RateLimit{Text: "("}
	if err := connectors.NewRegistry().Register(c); !errors.Is(err, &connectors.Error{Code: connectors.CodeInternal}) || !strings.Contains(err.Error(), "rate_limit.text is not a regular expression") {
		t.Errorf("Register = %v, want that the text is no regular expression", err)
	}
}
