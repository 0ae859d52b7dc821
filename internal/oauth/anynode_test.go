package oauth_test

import (
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// A flow is started on one node and opened on another. Of 24 callbacks on three more
// nodes one succeeds.
func TestAFlowContinuesOnAnyNodeAndIsUsedOnce(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, nil)
	started := in.start(onDemo, map[string]any{})
	to, cookie, err := in.front.Join(t).Flow.Starter.Open(t.Context(), "demo-oauth", started[strings.LastIndex(started, "/")+1:], func(string) string { return "" })
	must(t, err)
	_, callback, _ := testenv.NewBrowser(t).Post(to, approve)
	u, err := url.Parse(callback)
	must(t, err)
	browser := func(name string) string {
		if name == cookie.Name {
			return cookie.Value
		}
		return ""
	}
	nodes := []*testenv.Node{in.front.Join(t), in.front.Join(t), in.front.Join(t)}
	var taken atomic.Int64
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			_, failed := nodes[i%3].Flow.Callbacks.Handle(t.Context(), "demo-oauth", u.Query(), browser)
			switch {
			case failed == nil:
				taken.Add(1)
			case failed.Code != connectors.CodeConnectorOAuthStateInvalid || failed.Reason != "replayed":
				t.Errorf("got %v %s, want replayed", failed, failed.Reason)
			}
		})
	}
	wg.Wait()
	if got := stats(t, p); taken.Load() == 0 || got.Exchanges != 1 {
		t.Errorf("taken %d times, provider counted %+v; want one exchange", taken.Load(), got)
	}
	if c := in.demoConnection(); c.State != records.Active {
		t.Errorf("the connection is %s, want active", c.State)
	}
}
