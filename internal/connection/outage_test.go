package connection_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/memkv"
	"github.com/hawser-io/hawser/pkg/secret"
)

// errAway is what a driver says when its server is away, host and all.
var errAway = fmt.Errorf("%w: dial tcp 10.1.2.3:4222: connection refused", kvstore.ErrUnavailable)

// away is a store that cannot be reached while down.
type away struct {
	kvstore.Store
	down *bool
}

func (a away) err() error {
	if *a.down {
		return errAway
	}
	return nil
}

func (a away) Get(ctx context.Context, key string) (kvstore.Entry, error) {
	if err := a.err(); err != nil {
		return kvstore.Entry{}, err
	}
	return a.Store.Get(ctx, key)
}

func (a away) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if err := a.err(); err != nil {
		return 0, err
	}
	return a.Store.Update(ctx, key, value, revision)
}

func (a away) List(ctx context.Context, filter string) iter.Seq2[kvstore.Entry, error] {
	if err := a.err(); err != nil {
		return func(yield func(kvstore.Entry, error) bool) { yield(kvstore.Entry{}, err) }
	}
	return a.Store.List(ctx, filter)
}

func TestAStoreThatIsAwayIsAFailureToTryAgain(t *testing.T) {
	t.Parallel()
	down := false
	w := newWorld(t, setup{wrap: func(_ string, s kvstore.Store) kvstore.Store { return away{s, &down} }})
	r := shopOf(acme)
	url := segment(t, w.connect(r, `{"apiKey":"abc"}`))
	down = true
	in := connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"abc"}`), Replace: true}
	for name, err := range map[string]error{
		"connect":    ignored(w.service.Connect(t.Context(), r, in)),
		"get":        ignored(w.service.Get(t.Context(), r)),
		"use":        ignored(w.store.Get(t.Context(), r)),
		"update":     ignored(w.service.Update(t.Context(), r, connection.UpdateInput{Config: in.Config})),
		"toggle":     ignored(w.service.Toggle(t.Context(), r)),
		"rotate":     ignored(w.service.RotateWebhook(t.Context(), r)),
		"resolve":    ignored(w.service.Resolve(t.Context(), r)),
		"disconnect": ignored(w.service.Disconnect(t.Context(), r)),
		"list":       ignored(w.service.List(t.Context(), acme, connection.Filter{})),
		"count":      ignored(w.service.Count(t.Context(), acme, connection.Filter{})),
		"count all":  ignored(w.service.CountByConnector(t.Context(), "shop")),
		"by URL":     ignored(w.store.ByWebhookURL(t.Context(), "shop", url)),
		"load":       w.definitions.Load(t.Context()),
		"keyset":     records.CheckKeyset(t.Context(), w.buckets, w.keys),
	} {
		e, ok := errors.AsType[*connectors.Error](err)
		if !ok || e.Code != connectors.CodeConnectorDatabaseFailed || !errors.Is(err, kvstore.ErrUnavailable) || strings.Contains(err.Error(), "10.1.2.3") {
			t.Errorf("%s: got %v, want DATABASE_FAILED without addresses", name, err)
		}
	}
	down = false
	if !w.reaches(r, url) {
		t.Error("the URL is refused after the outage")
	}
	// This driver cannot count by itself.
	if n, err := w.service.CountByConnector(t.Context(), "shop"); err != nil || n != 1 {
		t.Errorf("count = %d, %v, want 1", n, err)
	}
}

func TestACallerWhoIsGoneGetsAnErrorAndNothingIsHalfDone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	w.connect(r, `{"apiKey":"abc"}`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantCode(t, ignored(w.service.Toggle(ctx, r)), connectors.CodeConnectorDatabaseFailed)
	wantCode(t, ignored(w.service.Disconnect(ctx, r)), connectors.CodeConnectorDatabaseFailed)
	wantCode(t, ignored(w.service.Connect(ctx, records.NewRef(acme, "shop", "b"), connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"abc"}`)})), connectors.CodeConnectorDatabaseFailed)
	if n, err := w.service.Count(t.Context(), acme, connection.Filter{}); err != nil || n != 1 || w.urls() != 1 {
		t.Errorf("count = %d, %v, URLs = %d, want one each", n, err, w.urls())
	}
}

func TestAnOAuthConnectorIsNotConnectedByItsConfig(t *testing.T) {
	t.Parallel()
	own := plain("oauth")
	own.BaseURL = "https://a.example"
	own.Auth = connectors.Auth{Kind: connectors.AuthOAuth2, OAuth2: &connectors.OAuth2{AuthorizationURL: "https://a.example/authorize", TokenURL: "https://a.example/token"}}
	w := newWorld(t, setup{own: []connectors.Connector{own}})
	_, err := w.service.Connect(t.Context(), records.NewRef(acme, "oauth", ""), connection.ConnectInput{Config: json.RawMessage(`{}`)})
	wantCode(t, err, connectors.CodeConnectorOAuthNotConfigured)
}

func TestARecordThatTheStoreDoesNotTakeIsTheCallersMistake(t *testing.T) {
	t.Parallel()
	small := func(name string, s kvstore.Store) kvstore.Store {
		if name == "connections" {
			return memkv.New(&memkv.Options{MaxValueSize: 1000})
		}
		return s
	}
	w := newWorld(t, setup{wrap: small})
	_, err := w.service.Connect(t.Context(), shopOf(acme), connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"` + strings.Repeat("x", 1000) + `"}`)})
	wantCode(t, err, connectors.CodeConnectorConfigInvalid)
	if n := w.urls(); n != 0 {
		t.Errorf("the index has %d URLs, want none", n)
	}
}

func TestAnExecutorThatDoesNotAnswerIsAFailureToTryAgain(t *testing.T) {
	t.Parallel()
	own := shop("1.0.0", shopSchema)
	own.Validate = validateElsewhere
	w := newWorld(t, setup{own: []connectors.Connector{own}})
	in := connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"abc"}`)}
	hangs, hanging := make(chan struct{}), make(chan struct{})
	w.serveValidate("shop", func(string) error { close(hanging); <-hangs; return nil })
	t.Cleanup(func() { close(hangs) })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-hanging; cancel() }()
	_, err := w.service.Connect(ctx, shopOf(acme), in)
	wantCode(t, err, connectors.CodeConnectorDatabaseFailed)
	if n := w.urls(); n != 0 {
		t.Errorf("the index has %d URLs, want none", n)
	}
}

// Whatever a mistake of ours makes of a draft, a secret place in the clear does not
// get out of sealing.
func TestSealingFailsClosed(t *testing.T) {
	t.Parallel()
	keys := newKeyring(t)
	store := records.NewConnections(records.Buckets{Connections: memkv.New(nil), Webhooks: memkv.New(nil)}, records.NewSealer(keys, prefix))
	record := func(change func(*records.Connection)) *records.Connection {
		c := &records.Connection{Scope: "user", Identity: "ava", Connector: "shop", Account: "default", Config: json.RawMessage(`{"apiKey":"canary"}`)}
		change(c)
		return c
	}
	for name, c := range map[string]*records.Connection{
		"a config in the clear":        record(func(c *records.Connection) { c.Sealed = []string{"/config/apiKey"} }),
		"a URL in the clear":           record(func(c *records.Connection) { c.Webhook = &records.WebhookURL{Secret: "canary"} }),
		"no URL":                       record(func(c *records.Connection) { c.Webhook = &records.WebhookURL{} }),
		"no config":                    record(func(c *records.Connection) { c.Config = json.RawMessage(`{`) }),
		"a name that is not as stored": record(func(c *records.Connection) { c.Identity = "a\xff" }),
		"a pointer that is none":       record(func(c *records.Connection) { c.Sealed = []string{"/config~"} }),
	} {
		sealed, err := store.Seal(&records.Draft{Record: c})
		e := wantCode(t, err, connectors.CodeConnectorEncryptFailed)
		if sealed != nil || strings.Contains(withCause(e), "canary") {
			t.Errorf("%s: %s", name, withCause(e))
		}
	}
	if _, err := records.ParseSealed([]byte(`{"config":`)); err == nil {
		t.Error("half a record is taken")
	}
	if _, err := store.ByWebhookURL(t.Context(), "shop", secret.New("x")); err == nil {
		t.Error("an unknown URL is taken")
	}
	service := connection.NewService(store, records.NewDefinitions(records.Buckets{}), connection.Scopes{}, nil, nil)
	_, err := service.Get(t.Context(), shopOf(events.Tenant{}))
	wantCode(t, err, connectors.CodeConnectorScopeInvalid)
}
