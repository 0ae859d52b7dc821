package connection_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/natsmicro"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/memkv"
	"github.com/hawser-io/hawser/pkg/kvstore/natskv"
	"github.com/hawser-io/hawser/pkg/secret"
)

const (
	base   = "https://hooks.example/api/v1"
	prefix = "hawser"
)

// acme is the tenant of most tests.
var acme = events.Tenant{Scope: "organization", Identity: "acme"}

func shopOf(t events.Tenant) records.Ref { return records.NewRef(t, "shop", "") }

// world is one installation: buckets, a bus on an embedded server, a service.
type world struct {
	testing.TB
	env         *testenv.Env
	queue       *queue.Queue
	bus         *events.Bus
	bare        map[string]kvstore.Store // bucket → store, not wrapped
	buckets     records.Buckets
	keys        *crypto.Keyring
	store       *records.Connections
	definitions *records.Definitions
	service     *connection.Service
	clock       *clock

	mu       sync.Mutex
	problems []error // what the service could not tell a caller
}

// setup is what a world is like; zero fields mean memory, and shop.
type setup struct {
	nats    bool // buckets on the server, too
	wrap    func(bucket string, s kvstore.Store) kvstore.Store
	own     []connectors.Connector
	storage jetstream.StorageType
}

func newWorld(t testing.TB, s setup) *world {
	t.Helper()
	w := &world{TB: t, env: testenv.Start(t, nil), bare: map[string]kvstore.Store{}, keys: newKeyring(t), clock: &clock{at: time.Now()}}
	var err error
	w.queue, err = queue.New(w.env.Conn(t), nil)
	must(t, err)
	w.bus = w.queue.Bus
	// The only stream that is needed, in memory: making them is most of what a test costs.
	_, err = w.bus.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{
		Name: w.bus.Subjects.StreamName(events.Lifecycle), Subjects: []string{prefix + ".event.>"}, Storage: jetstream.MemoryStorage, AllowDirect: true,
	})
	must(t, err)
	w.buckets, err = records.BucketsFrom(func(name string) (kvstore.Store, error) {
		var store kvstore.Store = memkv.New(nil)
		if s.nats {
			var err error
			if store, err = natskv.Open(t.Context(), w.bus.JetStream(), natskv.Bucket{Name: w.bus.Subjects.Bucket(name), Storage: s.storage}, nil); err != nil {
				return nil, err
			}
		}
		w.bare[name] = store
		if s.wrap != nil {
			store = s.wrap(name, store)
		}
		return store, nil
	})
	must(t, err)
	if s.own == nil {
		s.own = []connectors.Connector{shop("1.0.0", shopSchema)}
	}
	w.definitions = records.NewDefinitions(w.buckets)
	w.publish(s.own...)
	w.store, w.service = w.process(w.keys)
	return w
}

// process is one more process of the installation, with a keyring of its own.
func (w *world) process(keys *crypto.Keyring) (*records.Connections, *connection.Service) {
	w.Helper()
	scopes, err := connection.ParseScopes("organization,user,system?")
	must(w, err)
	store := records.NewConnections(w.buckets, records.NewSealer(keys, prefix))
	store.SetClock(w.clock.now)
	service := connection.NewService(store, w.definitions, scopes, w.bus, &connection.ServiceOptions{BaseURL: base, Now: w.clock.now, OnError: w.problem})
	return store, service
}

func (w *world) problem(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, err)
}

// publish makes connectors known, as an executor does.
func (w *world) publish(own ...connectors.Connector) {
	w.Helper()
	registry := connectors.NewRegistry()
	for _, c := range own {
		must(w, registry.Register(c))
	}
	must(w, w.definitions.Publish(w.Context(), registry.All()))
}

// connect connects r with a config, which has to work.
func (w *world) connect(r records.Ref, config string) *connection.View {
	w.Helper()
	v, err := w.service.Connect(w.Context(), r, connection.ConnectInput{Config: json.RawMessage(config)})
	must(w, err)
	return v
}

// config is what an action of r would be given.
func (w *world) config(r records.Ref) string {
	w.Helper()
	c, err := w.store.Latest(w.Context(), r)
	must(w, err)
	config, err := w.store.OpenConfig(c)
	must(w, err)
	return string(config)
}

// raw is the record of r as it lies in the bucket.
func (w *world) raw(r records.Ref) string {
	w.Helper()
	e, err := w.bare["connections"].Get(w.Context(), r.Key())
	must(w, err)
	return string(e.Value)
}

// everything returns what all buckets hold: "<bucket>/<key>" → value.
func (w *world) everything() map[string]string {
	w.Helper()
	all := map[string]string{}
	for name, store := range w.bare {
		for e, err := range store.List(w.Context(), ">") {
			must(w, err)
			all[name+"/"+e.Key] = string(e.Value)
		}
	}
	return all
}

// kinds are the lifecycle events of a tenant so far, the oldest first.
func (w *world) kinds(t events.Tenant) []string {
	w.Helper()
	var kinds []string
	for from := uint64(1); ; {
		d, err := w.queue.Streams.First(w.Context(), events.Lifecycle, from, prefix+".event."+t.Tokens()+".>")
		if errors.Is(err, events.ErrNotFound) {
			return kinds
		}
		must(w, err)
		e, err := events.Decode(d.Header, d.Data)
		must(w, err)
		kinds = append(kinds, string(events.KindOf(e.Type())))
		from = d.Sequence + 1
	}
}

// shop is a connector with a webhook, at a version with a config schema.
func shop(version, text string) connectors.Connector {
	parsed, err := schema.Parse([]byte(text))
	if err != nil {
		panic(err)
	}
	return connectors.Connector{
		Key: "shop", Version: version, Metadata: connectors.Metadata{Name: "The Shop"}, Config: parsed,
		BaseURL: "https://shop.example/v1",
		Auth:    connectors.Auth{Kind: connectors.AuthAPIKey, Headers: map[string]string{"Authorization": "Bearer ${config.apiKey}"}},
		Webhook: &connectors.Webhook{Descriptor: webhooks.Descriptor{
			SecretField: "hook.secret",
			Verify: []webhooks.Verification{{
				Scheme: webhooks.SchemeHMAC, Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex,
				Signature: webhooks.Source{From: "header.X-Signature"}, Signed: "{body}",
			}},
		}},
	}
}

// shopSchema has secrets at the top, in an object, and in a list.
const shopSchema = `{"type":"object","required":["apiKey"],"additionalProperties":false,"properties":{
	"apiKey":{"type":"string","writeOnly":true,"minLength":3},
	"channel":{"type":"string","default":"general"},
	"note":{"type":"string"},
	"count":{"type":"number"},
	"hook":{"type":"object","properties":{"secret":{"type":"string","format":"password"},"name":{"type":"string"}}},
	"servers":{"type":"array","items":{"type":"object","properties":{"host":{"type":"string"},"password":{"type":"string","writeOnly":true}}}}}}`

// plain is a connector without secrets, webhook or authentication.
func plain(key string) connectors.Connector {
	parsed, err := schema.Parse([]byte(`{"type":"object"}`))
	if err != nil {
		panic(err)
	}
	return connectors.Connector{Key: key, Config: parsed}
}

// clock is the time of a world. It stands still until add is called.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newKeyring(t testing.TB) *crypto.Keyring {
	t.Helper()
	text, err := crypto.NewKeyset()
	must(t, err)
	keys, err := crypto.ParseKeyset(text)
	must(t, err)
	return keys
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(withCause(err))
	}
}

// withCause returns the error with its cause, which API clients do not get.
func withCause(err error) string {
	if e, ok := errors.AsType[*connectors.Error](err); ok && e.Cause != nil {
		return err.Error() + " (" + withCause(e.Cause) + ")"
	}
	return fmt.Sprint(err)
}

// wantCode fails unless err has the code.
func wantCode(t testing.TB, err error, code connectors.Code) *connectors.Error {
	t.Helper()
	e, ok := errors.AsType[*connectors.Error](err)
	if !ok || e.Code != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	return e
}

// wantPaths fails unless the error names exactly these fields.
func wantPaths(t testing.TB, e *connectors.Error, paths ...string) {
	t.Helper()
	var got []string
	for _, f := range e.Errors {
		got = append(got, f.Path)
	}
	slices.Sort(got)
	if !slices.Equal(got, paths) {
		t.Errorf("the errors are of %q, want %q", got, paths)
	}
}

// segment is the secret at the end of a webhook URL.
func segment(t testing.TB, v *connection.View) secret.Text {
	t.Helper()
	s, ok := strings.CutPrefix(v.WebhookURL, base+"/connectors/"+v.Connector+"/webhook/")
	if !ok || s == "" || s == "***" {
		t.Fatalf("webhook URL = %q, want one with its secret", v.WebhookURL)
	}
	return secret.New(s)
}

// sameJSON compares JSON texts, whatever the order of members.
func sameJSON(t testing.TB, got, want string) {
	t.Helper()
	var g, w any
	if err := json.Unmarshal([]byte(got), &g); err != nil {
		t.Fatalf("got %s: %v", got, err)
	}
	must(t, json.Unmarshal([]byte(want), &w))
	if a, b := fmt.Sprint(g), fmt.Sprint(w); a != b {
		t.Errorf("got %s, want %s", got, want)
	}
}

// serveValidate plays the executor that knows a connector's Validate.
func (w *world) serveValidate(connector string, judge func(config string) error) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	serving, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		err := natsmicro.Serve(ctx, context.WithoutCancel(ctx), w.bus, natsmicro.Service{
			Name: "validator", Version: "1.0.0", Endpoints: []natsmicro.Endpoint{{
				Name: "v", Subject: w.bus.Subjects.Validate(connector), Handle: func(_ context.Context, ask natsmicro.Request) natsmicro.Reply { return w.judge(ask, judge) },
			}},
		}, func() { close(serving) })
		if err != nil {
			w.Error(err)
		}
	}()
	<-serving
	w.Cleanup(func() { cancel(); <-done })
}

func (w *world) judge(ask natsmicro.Request, judge func(config string) error) natsmicro.Reply {
	record, err := records.ParseSealed(ask.Data)
	var config json.RawMessage
	if err == nil {
		config, err = w.store.OpenConfig(record)
	}
	if err == nil {
		err = judge(string(config))
	}
	if err == nil {
		return natsmicro.Reply{Data: []byte(`{}`)}
	}
	e := connectors.AsError(err)
	body, err := json.Marshal(e)
	if err != nil {
		w.Error(err)
	}
	return natsmicro.Reply{Code: string(e.Code), Text: e.Message, Data: body}
}

// bothDrivers runs a story over memory and over JetStream.
func bothDrivers(t *testing.T, story func(t *testing.T, w *world)) {
	t.Helper()
	for name, nats := range map[string]bool{"memory": false, "jetstream": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, newWorld(t, setup{nats: nats, storage: jetstream.MemoryStorage}))
		})
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// validateElsewhere marks a connector as one with a Validate; serveValidate plays it.
func validateElsewhere(context.Context, *connectors.Call) error { return nil }

func containsAny(text string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(text, part) })
}
