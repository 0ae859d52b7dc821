package executor_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// A refusal by the provider's rate limit, here 403 with an empty window, is retried when the
// window is over, also where a call may not be repeated: it changed nothing.
func TestARequestIsRetriedWhenTheProvidersRateLimitWindowIsOver(t *testing.T) {
	t.Parallel()
	inASecond := func(w http.ResponseWriter, r *http.Request) {
		answers(403, "", "X-Remaining", "0", "X-Reset", strconv.FormatInt(time.Now().Add(2*time.Second).Unix(), 10))(w, r)
	}
	p := newProvider(t, inASecond, answers(200, `{"done":true}`), answers(403, "no", "X-Remaining", "9"))
	c := testenv.Probe("probe", p.URL, connectors.Action{Key: "order", MaxAttempts: 3,
		Handler: func(ctx context.Context, call *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, call.BaseURL+"/order", nil)
			if err != nil {
				return nil, err
			}
			resp, err := call.HTTP.Do(req)
			if err != nil {
				return nil, err
			}
			defer func() { _ = resp.Body.Close() }()
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode == http.StatusOK {
				return body, err
			}
			return nil, call.ResponseError(resp, body)
		}})
	c.RateLimit = &connectors.RateLimit{Statuses: []int{403}, Windows: []connectors.RateWindow{{Remaining: "X-Remaining", Reset: "X-Reset", Form: connectors.ExpiryEpoch}}}
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{c}})
	n.Connect(t, ava, "probe", key)
	n.StartExecutor(t, nil)
	results := n.Listen(t, "hawser.result.>")
	began := time.Now()
	n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "order")), events.Header{"ce-id": {"limited"}}, "")
	if got := results.Message(t); string(got.Data) != `{"data":{"done":true}}` || time.Since(began) < time.Second {
		t.Errorf("after %s: %s, want the answer when the window is over", time.Since(began), got.Data)
	}
	n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", "order")), events.Header{"ce-id": {"refused"}}, "")
	if got := results.Message(t); !contains(got.Data, "CONNECTOR_ACTION_FAILED") || p.calls() != 3 {
		t.Errorf("a plain 403: %s after %d calls, want a failure at once", got.Data, p.calls())
	}
}
