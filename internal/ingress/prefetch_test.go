package ingress_test

import (
	"maps"
	"net/http"
	"testing"

	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

// HEAD, and a GET that a browser sends before anybody has asked for the page, change nothing.
func TestScannersAndPrefetchesHaveNoEffectOnAnyRoute(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, nil)
	s := &site{n, n.StartIngress(t, &ingress.Options{BaseURL: "https://hooks.example.test"})}
	n.StartExecutor(t, nil)
	before := stored(t, n)
	patterns := s.Patterns()
	if len(patterns) < 30 {
		t.Fatalf("%d routes: %v", len(patterns), patterns)
	}
	for _, pattern := range patterns {
		for _, header := range [][]string{nil, {"Sec-Purpose", "prefetch"}, {"Purpose", "prefetch"}} {
			method := http.MethodHead
			if header != nil {
				method = http.MethodGet
			}
			if pattern == ingress.DefaultBasePath+"/events" && method == http.MethodGet {
				continue // it does not end
			}
			s.do(t, method, pattern, "", header...)
		}
	}
	if after := stored(t, n); !maps.Equal(before, after) {
		t.Errorf("stored before: %v, after: %v", before, after)
	}
}

// stored is how often each stream and bucket was written.
func stored(t *testing.T, n *testenv.Node) map[string]uint64 {
	t.Helper()
	last := map[string]uint64{}
	for _, stream := range []events.Stream{events.Actions, events.Results, events.Webhooks, events.Lifecycle, events.Quarantine, queue.Parked, queue.Refresh, queue.Dead} {
		state, err := n.Queue.Streams.State(t.Context(), stream)
		testenv.Must(t, err)
		last[string(stream)] = state.Last
	}
	for _, bucket := range []string{"connections", "webhooks", "flows", "sessions", "grants", "apps", "tokens", "claims"} {
		stream, err := n.Bus.JetStream().Stream(t.Context(), "KV_"+n.Bus.Subjects.Bucket(bucket))
		testenv.Must(t, err)
		last[bucket] = stream.CachedInfo().State.LastSeq
	}
	return last
}
