// Package webhooks_test tests a webhook's path through all roles, in one process
// over a real NATS server: several ingresses, an executor, and a connector with
// the test's own handler.
package webhooks_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/oauth/flow"
	"github.com/hawser-io/hawser/internal/oauth/token"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/natskv"
	"github.com/hawser-io/hawser/pkg/secret"
)

const signingSecret = "canary-webhook-secret-77ab"

type probeConfig struct {
	WebhookSecret connectors.Secret `json:"webhookSecret,omitzero"`
	Team          string            `json:"team,omitempty"`
}

// probe is a connector whose webhooks are signed like the demo provider's.
func probe() connectors.Connector {
	return connectors.Connector{
		Key: "probe", Metadata: connectors.Metadata{Name: "Probe"}, Config: schema.For[probeConfig](),
		Auth: connectors.Auth{Kind: connectors.AuthNone},
		Webhook: &connectors.Webhook{Descriptor: webhooks.Descriptor{
			SecretField: "webhookSecret",
			Verify: []webhooks.Verification{{
				Scheme: webhooks.SchemeHMAC, Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex,
				Signature: webhooks.Source{From: "header.X-Signature", Prefix: "sha256="}, Signed: "{timestamp}.{body}",
				Timestamp: &webhooks.Timestamp{Source: webhooks.Source{From: "header.X-Timestamp"}, Tolerance: webhooks.Duration(300 * time.Second)},
			}},
			Delivery: webhooks.Extraction{ID: "{header.X-Delivery}", Type: "{header.X-Event}"},
		}},
	}
}

// site is an installation.
type site struct {
	t           testing.TB
	env         *testenv.Env
	keyset      secret.Text
	queue       *queue.Queue
	bus         *events.Bus
	js          jetstream.JetStream
	keys        *crypto.Keyring
	buckets     records.Buckets
	store       *records.Connections
	definitions *records.Definitions
	service     *connection.Service
	token       secret.Text
	registry    *connectors.Registry
	fronts      []*httptest.Server
	stop        context.CancelFunc
	running     errgroup.Group
	log         *testenv.Log
	metrics     *prometheus.Registry
}

// tokenName is the name of the tests' API token.
const tokenName = "night shift"

const baseURL = "https://hooks.example.com"

type siteOptions struct {
	ingresses  int // default 1
	noExecutor bool
	ingress    ingress.Options
	executor   executor.Options
}

// newSite starts an installation with the connectors.
func newSite(t testing.TB, o siteOptions, all ...connectors.Connector) *site {
	t.Helper()
	env := testenv.Start(t, nil)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	s := &site{t: t, env: env, stop: stop, token: records.NewAPIToken(), registry: connectors.NewRegistry(), log: &testenv.Log{}, metrics: prometheus.NewRegistry()}
	t.Cleanup(func() {
		stop()
		for _, f := range s.fronts {
			f.Close()
		}
		if err := s.running.Wait(); err != nil {
			t.Errorf("the site ended with %v", err)
		}
	})
	for _, c := range all {
		must(t, s.registry.Register(c))
	}
	var err error
	s.queue, err = queue.New(env.Conn(t), &queue.Options{PublishTimeout: 20 * time.Second})
	must(t, err)
	s.bus = s.queue.Bus
	_, err = s.queue.Ensure(ctx, queue.Topology{})
	must(t, err)
	s.js = s.bus.JetStream()
	s.buckets, err = records.BucketsFrom(func(name string) (kvstore.Store, error) {
		bucket := natskv.Bucket{Name: s.bus.Subjects.Bucket(name), TTL: records.BucketTTL(name)}
		return natskv.Open(ctx, s.js, bucket, &natskv.Options{Timeout: 30 * time.Second})
	})
	must(t, err)
	s.keyset, err = crypto.NewKeyset()
	must(t, err)
	s.keys, err = crypto.ParseKeyset(s.keyset)
	must(t, err)
	s.assemble(ctx, o)
	return s
}

func (s *site) assemble(ctx context.Context, o siteOptions) {
	t := s.t
	scopes, err := connection.ParseScopes(connection.DefaultScopes)
	must(t, err)
	s.store = records.NewConnections(s.buckets, records.NewSealer(s.keys, s.bus.Subjects.Prefix()))
	s.definitions = records.NewDefinitions(s.buckets)
	must(t, s.definitions.Publish(ctx, s.registry.All()))
	status, tokens := records.NewStatusWriter(s.buckets), records.NewAPITokens(s.buckets)
	must(t, tokens.Add(ctx, s.token, tokenName))
	onError := func(err error) {
		if ctx.Err() == nil {
			t.Logf("problem: %v", err)
		}
	}
	grants, apps := records.NewGrants(s.buckets, s.store.Sealer()), records.NewApps(s.buckets, s.store.Sealer(), nil)
	s.service = connection.NewService(s.store, s.definitions, scopes, s.bus, &connection.ServiceOptions{BaseURL: baseURL + ingress.DefaultBasePath, OnError: onError, Grants: grants, CheckSecret: webhook.CheckSecret})
	key, err := records.SigningKey(ctx, s.buckets, s.store.Sealer())
	must(t, err)
	links := &flow.Links{BaseURL: baseURL + ingress.DefaultBasePath, Key: key, Now: time.Now}
	tokensOf := token.New(token.Parts{
		Queue: s.queue, Connections: s.service, Grants: grants, Leases: records.NewLeases(s.buckets), HTTP: http.DefaultClient,
		Servers:      &endpoint.Servers{Definitions: s.definitions, Apps: apps, Registry: s.registry},
		ReconnectURL: links.ReconnectURL,
	}, nil)
	s.running.Go(func() error { return s.store.Run(ctx) })
	s.running.Go(func() error { return tokens.Run(ctx) })
	s.running.Go(func() error { return apps.Run(ctx) })
	s.running.Go(func() error { return status.Run(ctx, onError) })
	if !o.noExecutor {
		o.executor.Log, o.executor.Metrics = zerolog.New(s.log), s.metrics
		x := executor.New(executor.Parts{
			Queue: s.queue, Registry: s.registry, Store: s.store, Definitions: s.definitions, Scopes: scopes,
			Claims: records.NewClaims(s.buckets), Status: status, HTTP: http.DefaultClient,
		}, &o.executor)
		must(t, x.Prepare(ctx))
		serving := make(chan struct{})
		s.running.Go(func() error { return x.Run(ctx, ctx, sync.OnceFunc(func() { close(serving) })) })
		select {
		case <-serving:
		case <-time.After(30 * time.Second):
			t.Fatal("the executor does not serve")
		}
	}
	o.ingress.BaseURL, o.ingress.Log = baseURL, zerolog.New(s.log)
	for n := range max(1, o.ingresses) {
		if o.ingress.Metrics = s.metrics; n > 0 {
			o.ingress.Metrics = nil // one registry holds one ingress
		}
		in := ingress.New(ingress.Parts{
			Queue: s.queue, Service: s.service, Store: s.store, Tokens: tokens, Status: status,
			Apps:  apps,
			OAuth: flow.New(flow.Parts{Tokens: tokensOf, Flows: records.NewFlows(s.buckets, s.store.Sealer()), Sessions: records.NewSessions(s.buckets), Links: links}),
		}, &o.ingress)
		front := httptest.NewUnstartedServer(in.Handler())
		front.Config = ingress.NewServer(in.Handler())
		front.Start()
		s.fronts = append(s.fronts, front)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: time.Minute}

// answer is an HTTP response with its whole body.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request to an ingress; url is a public URL or a path below the base path.
func (s *site) send(front int, method, url, body string, header http.Header) answer {
	s.t.Helper()
	url = strings.TrimPrefix(url, baseURL)
	if !strings.HasPrefix(url, ingress.DefaultBasePath) {
		url = ingress.DefaultBasePath + url
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.fronts[front].URL+url, strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return answer{}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := client.Do(req)
	if err != nil {
		s.t.Error(err)
		return answer{}
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Error(err)
	}
	return answer{resp.StatusCode, resp.Header, string(data)}
}

// api calls the management API and decodes the response into out, if it is not nil.
func (s *site) api(method, path, body string, wantStatus int, out any) answer {
	s.t.Helper()
	a := s.send(0, method, path, body, http.Header{"Authorization": {"Bearer " + s.token.Reveal()}})
	if a.status != wantStatus {
		s.t.Fatalf("%s %s: got %d %s, want %d", method, path, a.status, a.body, wantStatus)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(a.body), out); err != nil {
			s.t.Fatalf("%s %s: %s: %v", method, path, a.body, err)
		}
	}
	return a
}

type connected struct {
	ID         string
	WebhookURL string `json:"webhook_url"`
}

// connect connects the probe for an organization.
func (s *site) connect(org, config string) connected {
	s.t.Helper()
	var c connected
	s.api("PUT", "/scopes/organization/"+org+"/connections/probe", `{"config":`+config+`}`, http.StatusCreated, &c)
	return c
}

// signed are the headers of a delivery, signed at a time.
func signed(secret, body, delivery string, at time.Time) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s.%s", stamp, body)
	h := http.Header{"X-Signature": {"sha256=" + hex.EncodeToString(mac.Sum(nil))}, "X-Timestamp": {stamp}, "X-Event": {"order.created"}, "Content-Type": {"application/json"}}
	if delivery != "" {
		h["X-Delivery"] = []string{delivery}
	}
	return h
}

// messages returns all messages of a stream that match filter.
func (s *site) messages(stream events.Stream, filter string) []*jetstream.RawStreamMsg {
	s.t.Helper()
	str, err := s.js.Stream(s.t.Context(), s.bus.Subjects.StreamName(stream))
	must(s.t, err)
	var out []*jetstream.RawStreamMsg
	for seq := uint64(1); ; {
		msg, err := str.GetMsg(s.t.Context(), seq, jetstream.WithGetMsgSubject(filter))
		if err != nil {
			return out
		}
		out = append(out, msg)
		seq = msg.Sequence + 1
	}
}

// eventually waits until ok holds.
func (s *site) eventually(what string, ok func() bool) {
	s.t.Helper()
	s.eventuallyWithin(30*time.Second, what, ok)
}

func (s *site) eventuallyWithin(limit time.Duration, what string, ok func() bool) {
	s.t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("after %v still not: %s", limit, what)
		}
	}
}

// count counts calls.
type count struct{ atomic.Int64 }
