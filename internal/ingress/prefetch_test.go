package ingress_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// HEAD, and a GET that a browser sends before anybody has asked for the page, change nothing.
func TestScannersAndPrefetchesHaveNoEffectOnAnyRoute(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, &testenv.NodeOptions{BaseURL: "https://hooks.example.test", Connectors: []connectors.Connector{testenv.Probe("probe", "")}})
	s := &site{n, n.StartIngress(t, &ingress.Options{BaseURL: "https://hooks.example.test"})}
	n.StartExecutor(t, nil)
	webhook := s.connect(t, "probe")
	session := s.do(t, "POST", "/api/v1/connect-sessions", `{"scope":"organization","identity":"ava@example.com"}`)
	var made struct{ Token string }
	testenv.Must(t, json.Unmarshal([]byte(session.body), &made))
	const api = "/api/v1"
	routes := []string{
		api + "/connectors", api + "/connectors/probe", ofAva, ofAva + "/count", ofAva + "/probe", api + "/apps/probe", api + "/results/x", api + "/tokens", api + "/audit", api + "/audit/export",
		api + "/events", api + "/quarantine", api + "/dead-letters", api + "/connectors/probe/oauth/start/x", api + "/connectors/probe/oauth/reconnect/x",
		api + "/connectors/probe/oauth/callback?state=x", "/connect/hawser.css", "/connect/" + made.Token, "/connect/" + made.Token + "/status",
		"/console", "/console/", "/console/app.js", strings.TrimSuffix(ofAva, "/connections") + "/webhooks/x/body",
	}
	if got := getRoutes(t); got != len(routes) {
		t.Errorf("there are %d routes of GET, and this test knows %d", got, len(routes))
	}
	testenv.Eventually(t, "the connection is announced", func() bool { return n.Count(t, events.Lifecycle, ">") == 1 })
	before := stored(t, n)
	for _, route := range append(routes, webhook, api+"/connectors/probe/webhook", ofAva+"/probe/toggle", ofAva+"/probe/actions/noop") {
		for _, header := range [][]string{nil, {"Sec-Purpose", "prefetch"}, {"Purpose", "prefetch"}} {
			method := http.MethodHead
			if header != nil {
				method = http.MethodGet
			}
			if route == api+"/events" && method == http.MethodGet {
				continue // it does not end
			}
			r := s.do(t, method, route, "", header...)
			if r.header.Get("Set-Cookie") != "" {
				t.Errorf("%s %s sets a cookie", method, route)
			}
		}
	}
	if after := stored(t, n); !maps.Equal(before, after) {
		t.Errorf("stored before: %v, after: %v", before, after)
	}
}

// getRoutes counts the routes of GET in the source.
func getRoutes(t *testing.T) (count int) {
	t.Helper()
	route := regexp.MustCompile(`(Handle(Func)?\(|a\.handle\(mux, ("[a-z.-]+", )?)"GET |", "GET", `)
	for _, folder := range []string{".", "api", "receive", "../connectpage", "../console"} {
		files, err := filepath.Glob(folder + "/*.go")
		testenv.Must(t, err)
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			source, err := os.ReadFile(file)
			testenv.Must(t, err)
			count += len(route.FindAll(source, -1))
		}
	}
	return count
}

// stored is how often each stream and bucket was written, but for the audit trail and for
// when tokens were last used.
func stored(t *testing.T, n *testenv.Node) map[string]uint64 {
	t.Helper()
	last := map[string]uint64{}
	for _, stream := range []events.Stream{events.Actions, events.Results, events.Webhooks, events.Lifecycle, events.Quarantine, queue.Parked, queue.Refresh, queue.Dead} {
		state, err := n.Queue.Streams.State(t.Context(), stream)
		testenv.Must(t, err)
		last[string(stream)] = state.Last
	}
	for _, bucket := range []string{"connections", "webhooks", "flows", "sessions", "grants", "apps", "claims"} {
		stream, err := n.Bus.JetStream().Stream(t.Context(), "KV_"+n.Bus.Subjects.Bucket(bucket))
		testenv.Must(t, err)
		last[bucket] = stream.CachedInfo().State.LastSeq
	}
	return last
}
