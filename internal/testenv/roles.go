package testenv

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors/catalog"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Role is a role that runs.
type Role struct {
	stop, endGrace context.CancelFunc
	done           chan struct{}
	err            error
}

// Stop drains the role, waits for its end, and returns its error.
func (r *Role) Stop() error {
	r.stop()
	<-r.done
	return r.err
}

// Drain begins to drain the role.
func (r *Role) Drain() { r.stop() }

// EndGrace ends the grace period of what is in flight.
func (r *Role) EndGrace() { r.endGrace() }

func startRole(t testing.TB, run func(ctx, grace context.Context, serving func()) error) *Role {
	t.Helper()
	base := context.WithoutCancel(t.Context())
	ctx, stop := context.WithCancel(base)
	grace, endGrace := context.WithCancel(base)
	r := &Role{stop: stop, endGrace: endGrace, done: make(chan struct{})}
	serving := make(chan struct{})
	go func() {
		defer close(r.done)
		r.err = run(ctx, grace, sync.OnceFunc(func() { close(serving) }))
	}()
	t.Cleanup(func() {
		r.stop()
		r.endGrace()
		<-r.done
		if r.err != nil {
			t.Errorf("the role ended with %v", r.err)
		}
	})
	select {
	case <-serving:
	case <-r.done:
		t.Fatalf("the role ended before it served: %v", r.err)
	}
	return r
}

// StartExecutor runs an executor of the node's connectors.
func (n *Node) StartExecutor(t testing.TB, opts *executor.Options) *Role {
	t.Helper()
	o := executor.Options{}
	if opts != nil {
		o = *opts
	}
	o.Log = n.Logger()
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	o.Tokens = n.OAuth.Source
	if o.Subscriptions != nil {
		o.Subscriptions.Service, o.Subscriptions.Leases = n.Service, n.Leases
		o.Subscriptions.Records = records.NewSubscriptions(n.Buckets)
	}
	x := executor.New(executor.Parts{
		Queue: n.Queue, Registry: n.Registry, Connections: n.Store, Definitions: n.Definitions, Scopes: n.Scopes,
		Claims: records.NewClaims(n.Buckets), Status: n.Status, HTTP: n.Providers, Serving: records.NewServing(n.Buckets),
	}, &o)
	Must(t, x.Prepare(t.Context()))
	return startRole(t, x.Run)
}

// Front is an ingress that serves.
type Front struct {
	*Role
	URL   string // of the server, without the base path
	Token secret.Text
	HTTP  *http.Client
}

// StartIngress runs an ingress with a server and a token of its own. tune may
// change the server's limits before it serves.
func (n *Node) StartIngress(t testing.TB, opts *ingress.Options, tune ...func(*http.Server)) *Front {
	t.Helper()
	o := ingress.Options{BaseURL: "https://hooks.example.test"}
	if opts != nil {
		o = *opts
	}
	return n.serve(t, httptest.NewUnstartedServer(nil), o, tune...)
}

// StartReachable starts a node and an ingress whose base URL is the address of its
// server, so that browsers and providers reach it by the URLs that it hands out.
func StartReachable(t testing.TB, opts NodeOptions) (*Node, *Front) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	opts.BaseURL = "http://" + server.Listener.Addr().String()
	if opts.TLS {
		opts.BaseURL = "https://" + server.Listener.Addr().String()
	}
	n := StartNode(t, &opts)
	return n, n.serve(t, server, ingress.Options{BaseURL: opts.BaseURL, HTTP: n.Providers, Metrics: n.Metrics})
}

func (n *Node) serve(t testing.TB, server *httptest.Server, o ingress.Options, tune ...func(*http.Server)) *Front {
	t.Helper()
	o.Log = n.Logger()
	if o.Metrics == nil {
		o.Metrics = prometheus.NewRegistry()
	}
	in := ingress.New(ingress.Parts{
		Queue: n.Queue, Service: n.Service, Store: n.Store, Tokens: n.Tokens, Status: n.Status, Apps: n.Apps, Definitions: n.Definitions, Bases: catalog.Bases, OAuth: n.Flow,
	}, &o)
	f := &Front{Token: records.NewAPIToken()}
	Must(t, n.Tokens.Add(t.Context(), f.Token, "test"))
	server.Config = ingress.NewServer(in.Handler())
	for _, f := range tune {
		f(server.Config)
	}
	if n.options.TLS {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	f.URL, f.HTTP = server.URL, server.Client()
	f.HTTP.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	f.Role = startRole(t, in.Run)
	return f
}
