package subscription_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/subscription"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/manifest"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// definition of a connector; its subscription comes after it.
const definition = `
key: hooked
config:
  properties:
    apiKey: {type: string, writeOnly: true}
    room: {type: string}
    webhookSecret: {type: string, writeOnly: true}
  required: [apiKey]
base_url: BASE
auth: {kind: api_key, headers: {Authorization: "Bearer ${config.apiKey}"}}
actions: {noop: {effect: read, request: {path: /hooks}}}
webhook:
  secret_field: webhookSecret
  verify:
    - {scheme: hmac, algorithm: sha256, encoding: hex, signature: {from: header.X-Signature}, signed: "{body}"}
subscription:
  requires: [room]
  create:
    request: {method: POST, path: /hooks, body: {url: "${webhook.url}", secret: "${webhook.secret}", room: "${config.room}"}}
    id: .body.id
    expires_at: .body.expires_at
`

const (
	withDelete = `  delete: {request: {method: DELETE, path: "/hooks/${subscription.id}"}}
`
	withList = `  list: {request: {path: /hooks}, items: .body.hooks, url: .url, id: .id}
`
	withRenew = `  renew: {request: {method: PUT, path: "/hooks/${subscription.id}"}, expires_at: .body.expires_at}
`
	withSecret = `    secret: .body.signing_secret
`
)

const config = `{"apiKey":"good","room":"a"}`

// room is an installation with an executor and a connector of the provider.
type room struct {
	*testenv.Node

	provider *provider
	ref      records.Ref
}

func start(t *testing.T, p *provider, rest string, opts *testenv.NodeOptions) *room {
	t.Helper()
	c, err := manifest.Parse("hooked.yaml", []byte(strings.Replace(definition, "BASE", p.URL, 1)+rest), nil)
	testenv.Must(t, err)
	if opts == nil {
		opts = &testenv.NodeOptions{}
	}
	opts.Connectors, opts.BaseURL = []connectors.Connector{*c}, "https://hooks.example.test"
	r := &room{testenv.StartNode(t, opts), p, records.NewRef(testenv.Org("org_1"), "hooked", "")}
	if !opts.Uncached {
		r.execute(t, subscription.Options{})
	}
	return r
}

func (r *room) execute(t *testing.T, opts subscription.Options) {
	t.Helper()
	opts.FirstRetry, opts.MeasureEvery = 50*time.Millisecond, 50*time.Millisecond
	r.StartExecutor(t, &executor.Options{Subscriptions: &executor.Subscriptions{Options: opts}, Metrics: r.Metrics})
}

func (r *room) connect(t *testing.T) *connection.View {
	return r.Connect(t, r.ref.Tenant, "hooked", config)
}

func (r *room) live(t *testing.T) *records.Registration {
	s, err := records.NewSubscriptions(r.Buckets).Latest(t.Context(), r.ref)
	testenv.Must(t, err)
	return s.In(records.RegistrationLive)
}

// waitLive waits until one registration is recorded and there.
func (r *room) waitLive(t *testing.T) {
	t.Helper()
	testenv.Eventually(t, "registered", func() bool { return r.live(t) != nil && len(r.provider.has()) == 1 })
}

// compare asks an executor for a comparison.
func (r *room) compare(t *testing.T) {
	t.Helper()
	request, err := json.Marshal(map[string]string{"key": r.ref.Key()})
	testenv.Must(t, err)
	header, _, err := r.Bus.Request(testenv.Bounded(t), r.Bus.Subjects.Subscription(), request)
	testenv.Must(t, err)
	if code := header.Get(events.HeaderErrorCode); code != "" {
		t.Fatalf("compare: %s", code)
	}
}

// eventData returns the data of the first event of a kind; nil if there is none.
func (r *room) eventData(t *testing.T, kind events.Kind) *events.Data {
	t.Helper()
	m, err := r.Queue.Streams.First(t.Context(), events.Lifecycle, 1, r.Bus.Subjects.Event(r.ref.Tenant, "hooked", kind))
	if errors.Is(err, events.ErrNotFound) {
		return nil
	}
	testenv.Must(t, err)
	e, err := events.Decode(m.Header, m.Data)
	testenv.Must(t, err)
	var data events.Data
	testenv.Must(t, json.Unmarshal(e.Data(), &data))
	return &data
}

func (r *room) waitTold(t *testing.T, kind events.Kind) *events.Data {
	t.Helper()
	var data *events.Data
	testenv.Eventually(t, string(kind), func() bool { data = r.eventData(t, kind); return data != nil })
	return data
}

func (r *room) secret(t *testing.T) string {
	t.Helper()
	c, err := r.Store.Latest(t.Context(), r.ref)
	testenv.Must(t, err)
	text, err := r.Store.OpenConfigField(c, "webhookSecret")
	testenv.Must(t, err)
	return text.Reveal()
}

func TestConnectRegistersAndDisconnectRemoves(t *testing.T) {
	t.Parallel()
	r := start(t, startProvider(t), withDelete+withList, nil)
	view := r.connect(t)
	r.waitLive(t)
	got := r.provider.has()[0]
	if got.URL != view.WebhookURL {
		t.Errorf("registered is %s, not %s", got.URL, view.WebhookURL)
	}
	if len(got.Secret) != 64 || got.Secret != r.secret(t) {
		t.Errorf("the secret at the provider has %d characters and is in the config: %v", len(got.Secret), got.Secret == r.secret(t))
	}
	r.waitTold(t, events.SubscriptionCreated)
	testenv.Eventually(t, "the status says so", func() bool {
		status, err := r.Store.Status(t.Context(), r.ref)
		testenv.Must(t, err)
		return status != nil && status.Subscription != nil && status.Subscription.State == "live"
	})
	testenv.Must(t, r.OAuth.Connections.Disconnect(t.Context(), r.ref))
	if left := r.provider.has(); len(left) != 0 {
		t.Errorf("after the disconnect there are %d", len(left))
	}
	if n := r.provider.count(http.MethodPost); n != 1 {
		t.Errorf("it was created %d times", n)
	}
}

func TestNothingIsRegisteredWithoutWhatIsRequired(t *testing.T) {
	t.Parallel()
	r := start(t, startProvider(t), withDelete, nil)
	r.Connect(t, r.ref.Tenant, "hooked", `{"apiKey":"good"}`)
	r.compare(t)
	if n := r.provider.count(http.MethodPost); n != 0 {
		t.Fatalf("%d were created", n)
	}
	_, err := r.Service.Update(t.Context(), r.ref, connection.UpdateInput{Config: json.RawMessage(`{"room":"a"}`)})
	testenv.Must(t, err)
	r.waitLive(t)
	_, err = r.Service.Update(t.Context(), r.ref, connection.UpdateInput{Config: json.RawMessage(`{"room":"b"}`)})
	testenv.Must(t, err)
	testenv.Eventually(t, "it is made again for the other room", func() bool { h := r.provider.has(); return len(h) == 1 && h[0].ID == 2 })
}

func TestWhatTheProviderChoosesVerifies(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	p.chooses = "chosen-by-the-provider"
	r := start(t, p, withSecret+withDelete+withList, nil)
	r.connect(t)
	r.waitLive(t)
	if got := r.secret(t); got != p.chooses {
		t.Errorf("the secret in the config is not the provider's")
	}
	r.compare(t)
	if n := p.count(http.MethodPost); n != 1 {
		t.Errorf("it was created %d times", n)
	}
}

func TestExpiringIsRenewed(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	p.lifetime = 2 * time.Second
	r := start(t, p, withRenew+withDelete+withList, nil)
	r.connect(t)
	testenv.Eventually(t, "renewed twice", func() bool { h := p.has(); return len(h) == 1 && h[0].Renewals >= 2 })
	r.waitTold(t, events.SubscriptionRenewed)
	if n := p.count(http.MethodPost); n != 1 {
		t.Errorf("it was created %d times", n)
	}
}

func TestExpiringIsMadeAnew(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	p.lifetime = 2 * time.Second
	r := start(t, p, withDelete+withList, nil)
	r.connect(t)
	testenv.Eventually(t, "the second is alone", func() bool { h := p.has(); return len(h) == 1 && h[0].ID >= 2 })
	if time.Now().After(p.has()[0].ExpiresAt) {
		t.Error("it had ended")
	}
}

func TestFailedRenewalIsTold(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	p.lifetime = 3 * time.Second
	r := start(t, p, withRenew+withDelete+withList, nil)
	p.change(func() { p.refuse[http.MethodPut] = http.StatusForbidden })
	r.connect(t)
	failed := r.waitTold(t, events.SubscriptionFailed)
	if failed.Operation != "renew" || failed.ErrorCode == "" || failed.NextAttemptAt == nil || !strings.Contains(failed.ErrorMessage, "not now") {
		t.Errorf("the failure says %+v", failed)
	}
	r.waitTold(t, events.SubscriptionExpiring)
	p.change(func() { delete(p.refuse, http.MethodPut) })
	testenv.Eventually(t, "one that lives", func() bool { h := p.has(); return len(h) == 1 && time.Now().Before(h[0].ExpiresAt) })
}

func TestLostAndDoubledAreHealed(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	r := start(t, p, withDelete+withList, nil)
	r.connect(t)
	r.waitLive(t)
	url := p.has()[0].URL
	foreign := hook{ID: 901, URL: "https://elsewhere.example/connectors/hooked/webhook/1"}
	p.change(func() { p.hooks = []hook{{ID: 900, URL: url}, foreign} }) // ours is lost, and doubled by another
	r.compare(t)
	got := p.has()
	if len(got) != 2 || got[0] != foreign || got[1].URL != url || got[1].ID != 2 {
		t.Errorf("after the comparison there are %+v", got)
	}
	p.change(func() { p.hooks[1].URL = "https://elsewhere.example" }) // ours was changed
	r.compare(t)
	if got = p.has(); len(got) != 2 || got[1].ID != 3 || got[1].URL != url {
		t.Errorf("after the second there are %+v", got)
	}
}

// failingStore refuses updates that fail says.
type failingStore struct {
	kvstore.Store

	fail func(value []byte) bool
}

func (f *failingStore) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if f.fail(value) {
		return 0, kvstore.ErrUnavailable
	}
	return f.Store.Update(ctx, key, value, revision)
}

func TestUnstoredOutcomeLeavesOneRegistration(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	var failures atomic.Int32
	r := start(t, p, withDelete+withList, &testenv.NodeOptions{Wrap: func(bucket string, s kvstore.Store) kvstore.Store {
		if bucket != "subscriptions" {
			return s
		}
		return &failingStore{s, func(value []byte) bool {
			return strings.Contains(string(value), `"state":"live"`) && failures.Add(1) == 1
		}}
	}})
	r.connect(t)
	r.waitLive(t)
	if failures.Load() < 1 || p.count(http.MethodPost) != 2 {
		t.Fatalf("the store refused %d, the provider was asked %d times", failures.Load(), p.count(http.MethodPost))
	}
	if got := p.has()[0].ID; got != 2 || r.live(t) == nil || string(r.live(t).ID) != "2" {
		t.Errorf("there is %d, and another one is recorded", got)
	}
}

func TestFailedRemovalIsTriedAgain(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	r := start(t, p, withDelete+withList, nil)
	r.connect(t)
	r.waitLive(t)
	p.change(func() { p.refuse[http.MethodDelete] = http.StatusBadGateway })
	testenv.Must(t, r.OAuth.Connections.Disconnect(t.Context(), r.ref))
	if failed := r.waitTold(t, events.SubscriptionFailed); failed.Operation != "delete" {
		t.Errorf("failed has %q", failed.Operation)
	}
	p.change(func() { delete(p.refuse, http.MethodDelete) })
	testenv.Eventually(t, "removed", func() bool { return len(p.has()) == 0 })
	testenv.Eventually(t, "forgotten", func() bool {
		s, err := records.NewSubscriptions(r.Buckets).Latest(t.Context(), r.ref)
		testenv.Must(t, err)
		return len(s.Registrations) == 0
	})
}

func TestOnePlaceIsReplaced(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	p.single = true
	r := start(t, p, withDelete+withList, nil)
	r.connect(t)
	r.waitLive(t)
	before := p.has()[0].URL
	view, err := r.Service.RotateWebhook(t.Context(), r.ref)
	testenv.Must(t, err)
	testenv.Eventually(t, "the new URL is registered", func() bool { h := p.has(); return len(h) == 1 && h[0].URL == view.WebhookURL })
	r.compare(t)
	if got := p.has(); len(got) != 1 || got[0].URL == before || p.count(http.MethodDelete) != 0 {
		t.Errorf("there are %+v after %d deletions", got, p.count(http.MethodDelete))
	}
}

func TestDisabledIsNotRenewedAndTold(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	p.lifetime = 2 * time.Second
	r := start(t, p, withRenew+withDelete, nil)
	r.connect(t)
	r.waitLive(t)
	_, err := r.Service.Toggle(t.Context(), r.ref)
	testenv.Must(t, err)
	if data := r.waitTold(t, events.SubscriptionExpiring); data.ErrorCode != string(connectors.CodeConnectorDisabled) {
		t.Errorf("expiring has %q", data.ErrorCode)
	}
	testenv.Eventually(t, "ended", func() bool { return time.Now().After(p.has()[0].ExpiresAt) })
	_, err = r.Service.Toggle(t.Context(), r.ref)
	testenv.Must(t, err)
	testenv.Eventually(t, "one that lives", func() bool { h := p.has(); return len(h) == 1 && time.Now().Before(h[0].ExpiresAt) })
}

func TestSweepFindsWhatNobodyTold(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	r := start(t, p, withDelete+withList, &testenv.NodeOptions{Uncached: true})
	r.RunCaches(t)
	r.connect(t)
	stream, err := r.Bus.JetStream().Stream(t.Context(), r.Bus.Subjects.StreamName(events.Lifecycle))
	testenv.Must(t, err)
	testenv.Must(t, stream.Purge(t.Context())) // as if the process had ended before it published
	r.execute(t, subscription.Options{CompareEvery: 2 * time.Second})
	r.waitLive(t)
	testenv.Eventually(t, "counted", func() bool {
		families, err := r.Metrics.Gather()
		testenv.Must(t, err)
		for _, f := range families {
			if f.GetName() != "hawser_subscriptions" {
				continue
			}
			for _, m := range f.GetMetric() {
				if m.GetLabel()[0].GetValue() == "live" && m.GetGauge().GetValue() == 1 {
					return true
				}
			}
		}
		return false
	})
	p.change(func() { p.hooks = nil })
	testenv.Eventually(t, "healed by the next comparison", func() bool { return len(p.has()) == 1 })
}

func TestSecretsAreNotTold(t *testing.T) {
	t.Parallel()
	p := startProvider(t)
	p.refuse[http.MethodPost] = http.StatusBadRequest // and repeats the request
	r := start(t, p, withDelete+withList, nil)
	view := r.connect(t)
	failed := r.waitTold(t, events.SubscriptionFailed)
	_, segment, _ := strings.Cut(view.WebhookURL, "/webhook/")
	for _, canary := range []string{segment, r.secret(t)} {
		if strings.Contains(failed.ErrorMessage, canary) || strings.Contains(r.Log.String(), canary) {
			t.Errorf("a secret is in an event: %s", failed.ErrorMessage)
		}
	}
	if !strings.Contains(failed.ErrorMessage, "not now") || failed.Operation != "create" {
		t.Errorf("the failure says %+v", failed)
	}
}
