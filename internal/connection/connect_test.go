package connection_test

import (
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestAConnectionIsStoredSealedAndShownMasked(t *testing.T) {
	t.Parallel()
	bothDrivers(t, func(t *testing.T, w *world) {
		v := w.connect(shopOf(acme), `{"apiKey":"key-123456789","hook":{"secret":"whsec-123456","name":"n"},"servers":[{"host":"a","password":"pw-123456789"},{"host":"b"}],"count":12345678901234567890,"note":"<&>"}`)
		if v.ID == "" || v.State != records.Active || !v.Enabled || v.Account != "default" || v.ConnectorVersion != "1.0.0" {
			t.Errorf("view = %+v", v)
		}
		sameJSON(t, string(v.Config), `{"apiKey":"***","hook":{"secret":"***","name":"n"},"servers":[{"host":"a","password":"***"},{"host":"b"}],"count":12345678901234567890,"note":"<&>","channel":"general"}`)
		want := `{"apiKey":"key-123456789","channel":"general","count":12345678901234567890,"hook":{"name":"n","secret":"whsec-123456"},"note":"<&>","servers":[{"host":"a","password":"pw-123456789"},{"host":"b"}]}`
		if got := w.config(shopOf(acme)); got != want {
			t.Errorf("a handler gets %s, want %s", got, want)
		}
		got, err := w.service.Get(t.Context(), shopOf(acme))
		must(t, err)
		if got.WebhookURL != base+"/connectors/shop/webhook/***" {
			t.Errorf("webhook URL in a later view = %s, want it masked", got.WebhookURL)
		}
		if len(segment(t, v).Reveal()) != 32 {
			t.Errorf("webhook URL = %s, want 32 hex digits at its end", v.WebhookURL)
		}
		if diff := cmp.Diff([]string{"connector.connected"}, w.kinds(acme)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestABadConfigNamesEveryFieldAndStoresNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	before := len(w.everything())
	_, err := w.service.Connect(t.Context(), shopOf(acme), connection.ConnectInput{Config: json.RawMessage(`{"apiKey":1,"hook":{"secret":2},"wrong":true}`)})
	e := wantCode(t, err, connectors.CodeConnectorConfigInvalid)
	wantPaths(t, e, "apiKey", "hook.secret", "wrong")
	for _, in := range []string{``, `{}`, `null`, `[]`, `"x"`, `{"apiKey":"abc"`, `{"apiKey":"abc","apiKey":"abd"}`} {
		_, err := w.service.Connect(t.Context(), shopOf(acme), connection.ConnectInput{Config: json.RawMessage(in)})
		wantCode(t, err, connectors.CodeConnectorConfigInvalid)
	}
	if after := len(w.everything()); after != before || w.kinds(acme) != nil {
		t.Errorf("%d entries and events %v after refusals, want %d and none", after, w.kinds(acme), before)
	}
}

func TestTagsThatCannotBeStoredAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	many := map[string]string{}
	for i := range 33 {
		many[strings.Repeat("t", i+1)] = ""
	}
	for _, tags := range []map[string]string{many, {"": "x"}, {"a": strings.Repeat("x", 256)}} {
		_, err := w.service.Connect(t.Context(), shopOf(acme), connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"abc"}`), Tags: tags})
		wantPaths(t, wantCode(t, err, connectors.CodeConnectorConfigInvalid), "tags")
	}
}

func TestConnectingTwiceIsRefusedAndReplacingKeepsWhatOthersKnow(t *testing.T) {
	t.Parallel()
	bothDrivers(t, func(t *testing.T, w *world) {
		r := shopOf(acme)
		in := connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"first","note":"n"}`), Tags: map[string]string{"a": "1"}}
		first, err := w.service.Connect(t.Context(), r, in)
		must(t, err)
		_, err = w.service.Connect(t.Context(), r, in)
		wantCode(t, err, connectors.CodeConnectorAlreadyConnected)
		if _, err := w.service.Toggle(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		w.clock.add(time.Hour)
		w.publish(shop("1.1.0", shopSchema))
		second, err := w.service.Connect(t.Context(), r, connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"second"}`), Replace: true})
		must(t, err)
		if second.ID != first.ID || !second.CreatedAt.Equal(first.CreatedAt) || second.WebhookURL != first.WebhookURL {
			t.Errorf("replaced: %s %s %s, want id, time and URL of %s %s %s",
				second.ID, second.CreatedAt, second.WebhookURL, first.ID, first.CreatedAt, first.WebhookURL)
		}
		if !second.Enabled || !second.UpdatedAt.After(first.UpdatedAt) || second.ConnectorVersion != "1.1.0" {
			t.Errorf("replaced: %+v, want it enabled, updated, of the new version", second)
		}
		if diff := cmp.Diff(map[string]string{"a": "1"}, second.Tags); diff != "" {
			t.Errorf("tags (-want +got):\n%s", diff)
		}
		sameJSON(t, w.config(r), `{"apiKey":"second","channel":"general"}`)
		if _, err := w.store.ByWebhookURL(t.Context(), "shop", segment(t, first)); err != nil {
			t.Errorf("the URL after the replacement: %v", err)
		}
		if diff := cmp.Diff([]string{"connector.connected", "connector.disabled", "connector.connected"}, w.kinds(acme)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestReplacingWhatIsNotThereConnects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	v, err := w.service.Connect(t.Context(), shopOf(acme), connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"abc"}`), Replace: true})
	must(t, err)
	if _, err := w.store.ByWebhookURL(t.Context(), "shop", segment(t, v)); err != nil {
		t.Error(err)
	}
}

func TestAccountsOfOneTenantAreConnectionsOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	eu := records.NewRef(acme, "shop", "eu")
	w.connect(shopOf(acme), `{"apiKey":"key-default"}`)
	w.connect(eu, `{"apiKey":"key-eu"}`)
	must(t, ignored(w.service.Disconnect(t.Context(), shopOf(acme))))
	sameJSON(t, w.config(eu), `{"apiKey":"key-eu","channel":"general"}`)
}

func TestUnknownNamesHaveCodesOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{own: []connectors.Connector{shop("1.0.0", shopSchema), plain("plain")}})
	nowhere := records.NewRef(acme, "nowhere", "")
	badScope := shopOf(events.Tenant{Scope: "planet", Identity: "x"})
	noIdentity := shopOf(events.Tenant{Scope: "organization"})
	longAccount := records.NewRef(acme, "shop", strings.Repeat("x", 129))
	brokenAccount := records.NewRef(acme, "shop", "\xff")
	brokenIdentity := shopOf(events.Tenant{Scope: "user", Identity: "a\xffb"})
	longIdentity := shopOf(events.Tenant{Scope: "user", Identity: strings.Repeat("x", 129)})
	in := connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"abc"}`)}
	operations := map[string]func(records.Ref) error{
		"connect": func(r records.Ref) error { _, err := w.service.Connect(t.Context(), r, in); return err },
		"get":     func(r records.Ref) error { _, err := w.service.Get(t.Context(), r); return err },
		"update": func(r records.Ref) error {
			_, err := w.service.Update(t.Context(), r, connection.UpdateInput{Config: in.Config})
			return err
		},
		"toggle":     func(r records.Ref) error { _, err := w.service.Toggle(t.Context(), r); return err },
		"rotate":     func(r records.Ref) error { _, err := w.service.RotateWebhook(t.Context(), r); return err },
		"resolve":    func(r records.Ref) error { _, err := w.service.Resolve(t.Context(), r); return err },
		"disconnect": func(r records.Ref) error { return ignored(w.service.Disconnect(t.Context(), r)) },
	}
	for name, run := range operations {
		for _, c := range []struct {
			ref  records.Ref
			want connectors.Code
		}{
			{nowhere, connectors.CodeConnectorNotFound},
			{badScope, connectors.CodeConnectorScopeInvalid},
			{noIdentity, connectors.CodeConnectorScopeIdentifierRequired},
			{longIdentity, connectors.CodeConnectorScopeInvalid},
			{brokenIdentity, connectors.CodeConnectorScopeInvalid},
			{longAccount, connectors.CodeConnectorConfigInvalid},
			{brokenAccount, connectors.CodeConnectorConfigInvalid},
			{shopOf(acme), connectors.CodeConnectorNotConnected},
		} {
			if name == "connect" && c.want == connectors.CodeConnectorNotConnected {
				continue
			}
			if err := run(c.ref); !errors.Is(err, &connectors.Error{Code: c.want}) {
				t.Errorf("%s %+v: got %v, want %s", name, c.ref, err, c.want)
			}
		}
	}
	_, err := w.service.RotateWebhook(t.Context(), records.NewRef(acme, "plain", ""))
	wantCode(t, err, connectors.CodeConnectorWebhookNotConfigured)
}

func TestTheProviderHasItsSayBeforeAnythingIsStored(t *testing.T) {
	t.Parallel()
	own := shop("1.0.0", shopSchema)
	own.Validate = validateElsewhere
	w := newWorld(t, setup{own: []connectors.Connector{own}})
	before := len(w.everything())
	in := connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"bad-key"}`)}
	_, err := w.service.Connect(t.Context(), shopOf(acme), in)
	wantCode(t, err, connectors.CodeConnectorUnavailable) // no executor serves shop

	var asked atomic.Int32
	w.serveValidate("shop", func(config string) error {
		asked.Add(1)
		if strings.Contains(config, "bad-key") {
			e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the provider does not accept the key")
			e.ProviderStatus, e.Errors = 401, []schema.FieldError{{Path: "apiKey", Message: "is not accepted"}}
			return e
		}
		return nil
	})
	_, err = w.service.Connect(t.Context(), shopOf(acme), in)
	e := wantCode(t, err, connectors.CodeConnectorConfigInvalid)
	wantPaths(t, e, "apiKey")
	if e.ProviderStatus != 401 {
		t.Errorf("provider status = %d, want 401", e.ProviderStatus)
	}
	if after := len(w.everything()); after != before || w.kinds(acme) != nil {
		t.Errorf("%d entries after a refusal, want %d", after, before)
	}
	w.connect(shopOf(acme), `{"apiKey":"good-key"}`)
	_, err = w.service.Update(t.Context(), shopOf(acme), connection.UpdateInput{Config: in.Config})
	wantCode(t, err, connectors.CodeConnectorConfigInvalid)
	sameJSON(t, w.config(shopOf(acme)), `{"apiKey":"good-key","channel":"general"}`)
	asked.Store(0)
	_, err = w.service.Toggle(t.Context(), shopOf(acme))
	must(t, err)
	_, err = w.service.Update(t.Context(), shopOf(acme), connection.UpdateInput{Tags: map[string]string{"a": "b"}})
	must(t, err)
	if n := asked.Load(); n != 0 {
		t.Errorf("the provider was asked %d times about changes that are not of the config", n)
	}
}

// An account that Learn reads from the provider routes webhooks: a tenant who could enter it
// would receive another's.
func TestAnAccountThatTheProviderSetsCannotBeEntered(t *testing.T) {
	t.Parallel()
	own := shop("1.0.0", shopSchema)
	own.Learn = &connectors.Learn{Request: connectors.Request{Path: "/me"}, Config: map[string]string{"note": ".body.account"}}
	own.Webhook.AccountField, own.Webhook.Delivery.Account = "note", "{body.account}"
	w := newWorld(t, setup{own: []connectors.Connector{own}})
	w.serveValidate("shop", func(string) error { return nil })
	entered := json.RawMessage(`{"apiKey":"good-key","note":"another's"}`)
	_, err := w.service.Connect(t.Context(), shopOf(acme), connection.ConnectInput{Config: entered})
	wantPaths(t, wantCode(t, err, connectors.CodeConnectorConfigInvalid), "config.note")
	w.connect(shopOf(acme), `{"apiKey":"good-key"}`)
	_, err = w.service.Update(t.Context(), shopOf(acme), connection.UpdateInput{Config: entered})
	wantPaths(t, wantCode(t, err, connectors.CodeConnectorConfigInvalid), "config.note")
	if others, err := w.store.ByProviderAccount(t.Context(), "shop", "another's"); err != nil || len(others) > 0 {
		t.Errorf("%d connections are of the other account, %v", len(others), err)
	}
}

func TestARecordThatIsTooLargeIsTheCallersMistake(t *testing.T) {
	t.Parallel()
	bothDrivers(t, func(t *testing.T, w *world) {
		before := len(w.everything())
		config := `{"apiKey":"abc","note":"` + strings.Repeat("x", records.MaxRecord) + `"}`
		_, err := w.service.Connect(t.Context(), shopOf(acme), connection.ConnectInput{Config: json.RawMessage(config)})
		wantCode(t, err, connectors.CodeConnectorConfigInvalid)
		if after := len(w.everything()); after != before {
			t.Errorf("%d entries, want %d", after, before)
		}
		w.connect(shopOf(acme), `{"apiKey":"abc","note":"`+strings.Repeat("x", records.MaxRecord*9/10)+`"}`)
		w.config(shopOf(acme))
	})
}

func TestDisconnectingLeavesNothing(t *testing.T) {
	t.Parallel()
	bothDrivers(t, func(t *testing.T, w *world) {
		before := sortedKeys(w.everything())
		r := shopOf(acme)
		v := w.connect(r, `{"apiKey":"abc"}`)
		_, err := w.service.RotateWebhook(t.Context(), r)
		must(t, err)
		status := records.NewStatusWriter(w.buckets)
		status.Webhook(r, "")
		status.Flush(t.Context(), w.problem)
		must(t, ignored(w.service.Disconnect(t.Context(), r)))
		if diff := cmp.Diff(before, sortedKeys(w.everything())); diff != "" {
			t.Errorf("left behind (-before +after):\n%s", diff)
		}
		_, err = w.store.ByWebhookURL(t.Context(), "shop", segment(t, v))
		wantCode(t, err, connectors.CodeConnectorWebhookVerificationFailed)
		wantCode(t, ignored(w.service.Disconnect(t.Context(), r)), connectors.CodeConnectorNotConnected)
		if diff := cmp.Diff([]string{"connector.connected", "connector.updated", "connector.disconnected"}, w.kinds(acme)); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestAConnectionOutlivesItsConnector(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	w.connect(r, `{"apiKey":"abc-secret-1"}`)
	must(t, w.bare["connectors"].Delete(t.Context(), "shop", 0))
	must(t, w.definitions.Load(t.Context()))
	v, err := w.service.Toggle(t.Context(), r)
	must(t, err)
	if v.Enabled || strings.Contains(string(v.Config), "abc-secret-1") {
		t.Errorf("view = %+v, want it disabled and masked", v)
	}
	if _, err := w.service.Get(t.Context(), r); err != nil {
		t.Error(err)
	}
	list, err := w.service.List(t.Context(), acme, connection.Filter{})
	if err != nil || len(list) != 0 {
		t.Errorf("list = %v, %v, want none of an unregistered connector", list, err)
	}
	_, err = w.service.Update(t.Context(), r, connection.UpdateInput{Config: json.RawMessage(`{}`)})
	wantCode(t, err, connectors.CodeConnectorNotFound)
	must(t, ignored(w.service.Disconnect(t.Context(), r)))
}

func TestTheEventsOfAConnectionSayWhoseItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := records.NewRef(events.Tenant{Scope: "user", Identity: "ava@example.com"}, "shop", "e u/1")
	v := w.connect(r, `{"apiKey":"abc"}`)
	d, err := w.queue.Streams.First(t.Context(), events.Lifecycle, 1, prefix+".event.>")
	must(t, err)
	e, err := events.Decode(d.Header, d.Data)
	must(t, err)
	got := map[string]string{"subject": e.Subject()}
	for _, name := range []string{events.ExtScope, events.ExtIdentity, events.ExtConnector, events.ExtAccount, events.ExtConnection} {
		got[name] = events.Extension(e, name)
	}
	want := map[string]string{
		"subject": "user/ava@example.com/shop/e u/1", events.ExtScope: "user", events.ExtIdentity: "ava@example.com",
		events.ExtConnector: "shop", events.ExtAccount: "e u/1", events.ExtConnection: v.ID,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if d.Subject != "hawser.event.user.ava=40example=2Ecom.shop.connector.connected" {
		t.Errorf("subject = %s", d.Subject)
	}
}

func TestAnEventThatCannotBeAnnouncedIsReportedAndTheChangeStands(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	must(t, w.env.Stop())
	v := w.connect(shopOf(acme), `{"apiKey":"abc"}`)
	if v.ID == "" || len(w.problems) != 1 {
		t.Errorf("connected as %q with problems %v, want a connection and one problem", v.ID, w.problems)
	}
}
