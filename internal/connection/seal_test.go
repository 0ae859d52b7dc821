package connection_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/events"
)

const (
	// laterSchema marks note and the whole of hook, too.
	laterSchema = `{"type":"object","properties":{
		"apiKey":{"type":"string","writeOnly":true},"channel":{"type":"string"},"note":{"type":"string","writeOnly":true},
		"hook":{"type":"object","writeOnly":true}}}`
	// laxSchema marks nothing.
	laxSchema = `{"type":"object","properties":{"apiKey":{"type":"string"},"channel":{"type":"string"},"note":{"type":"string"},"hook":{"type":"object"}}}`
)

// without a webhook secret field, the schema may say of hook what it likes.
func shopWith(version, schema string) connectors.Connector {
	c := shop(version, schema)
	c.Webhook.SecretField = ""
	c.Webhook.Verify = []webhooks.Verification{{Scheme: webhooks.SchemeUnsigned}}
	return c
}

// changes are all the ways to write a record that is there.
func (w *world) changes(r records.Ref) map[string]func() error {
	return map[string]func() error{
		"toggle": func() error { return ignored(w.service.Toggle(w.Context(), r)) },
		"rotate": func() error { return ignored(w.service.RotateWebhook(w.Context(), r)) },
		"tags": func() error {
			return ignored(w.service.Update(w.Context(), r, connection.UpdateInput{Tags: map[string]string{"a": "b"}}))
		},
		"config": func() error {
			return ignored(w.service.Update(w.Context(), r, connection.UpdateInput{Config: json.RawMessage(`{"channel":"c"}`)}))
		},
	}
}

func TestWhatANewerVersionMarksIsMaskedAtOnceAndSealedAtTheNextWrite(t *testing.T) {
	t.Parallel()
	const config = `{"apiKey":"canary-key","channel":"c","note":"canary-note","hook":{"secret":"canary-hook","name":"canary-name"}}`
	w := newWorld(t, setup{own: []connectors.Connector{shopWith("1.0.0", shopSchema)}})
	refs := map[string]records.Ref{}
	for name := range w.changes(shopOf(acme)) {
		refs[name] = records.NewRef(acme, "shop", name)
		w.connect(refs[name], config)
	}
	w.publish(shopWith("2.0.0", laterSchema))
	for name, r := range refs {
		v, err := w.service.Get(t.Context(), r)
		must(t, err)
		sameJSON(t, string(v.Config), `{"apiKey":"***","channel":"c","note":"***","hook":"***"}`)
		must(t, w.changes(r)[name]())
		if raw := w.raw(r); strings.Contains(raw, "canary") {
			t.Errorf("%s: the record is %s", name, raw)
		}
		sameJSON(t, w.config(r), config)
		must(t, w.changes(r)[name]()) // and again, on what is sealed now
		sameJSON(t, w.config(r), config)
		record, err := w.store.Latest(t.Context(), r)
		must(t, err)
		if got, err := w.store.OpenConfigField(record, "hook.secret"); err != nil || got.Reveal() != "canary-hook" {
			t.Errorf("%s: a field in what is sealed now is %q, %v", name, got.Reveal(), err)
		}
	}
}

func TestWhatANewerVersionNoLongerMarksStaysSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{own: []connectors.Connector{shopWith("1.0.0", shopSchema)}})
	refs := map[string]records.Ref{}
	for name := range w.changes(shopOf(acme)) {
		refs[name] = records.NewRef(acme, "shop", name)
		w.connect(refs[name], `{"apiKey":"canary-key","channel":"c","hook":{"secret":"canary-hook"}}`)
	}
	w.publish(shopWith("2.0.0", laxSchema))
	for name, r := range refs {
		must(t, w.changes(r)[name]())
		v, err := w.service.Get(t.Context(), r)
		must(t, err)
		if raw := w.raw(r); strings.Contains(raw, "canary") || strings.Contains(string(v.Config), "canary") {
			t.Errorf("%s: the record is %s, the view %s", name, raw, v.Config)
		}
		sameJSON(t, w.config(r), `{"apiKey":"canary-key","channel":"c","hook":{"secret":"canary-hook"}}`)
	}
	// What is given to a version that says that it is no secret, is none.
	r := refs["toggle"]
	_, err := w.service.Connect(t.Context(), r, connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"open"}`), Replace: true})
	must(t, err)
	if raw := w.raw(r); !strings.Contains(raw, `"apiKey":"open"`) {
		t.Errorf("a replaced config is %s, want what is no secret in the clear", raw)
	}
}

func TestAFieldIsOpenedByItsPath(t *testing.T) {
	t.Parallel()
	const schema = `{"type":"object","properties":{
		"top":{"type":"string","writeOnly":true},
		"in":{"type":"object","properties":{"it":{"type":"string","writeOnly":true},"open":{"type":"string"}}},
		"whole":{"type":"object","writeOnly":true},
		"any":{"type":"object","additionalProperties":{"type":"object","properties":{"s":{"type":"string","writeOnly":true}}}},
		"a/b":{"type":"object","properties":{"~":{"type":"string","writeOnly":true}}},
		"number":{"type":"number","writeOnly":true},
		"nothing":{"type":["string","null"],"writeOnly":true}}}`
	c := shop("1.0.0", schema)
	c.Auth, c.Webhook = connectors.Auth{}, nil
	w := newWorld(t, setup{own: []connectors.Connector{c}})
	r := shopOf(acme)
	w.connect(r, `{"top":"enc:v1:looks-sealed","in":{"it":"2","open":"3"},"whole":{"a":{"b":"4"},"n":7},"any":{"x":{"s":"5"}},"a/b":{"~":"6"},"number":1,"nothing":null}`)
	record, err := w.store.Latest(t.Context(), r)
	must(t, err)
	for path, want := range map[string]string{
		"top": "enc:v1:looks-sealed", "in.it": "2", "in.open": "3", "whole.a.b": "4", "any.x.s": "5", "a/b.~": "6",
		"": "", "absent": "", "in.absent": "", "in.it.below": "", "nothing": "", "whole.a.c": "", "any.x": "!", "number": "!", "whole.n": "!", "in": "!",
	} {
		got, err := w.store.OpenConfigField(record, path)
		if want == "!" {
			wantCode(t, err, connectors.CodeConnectorDecryptFailed)
			continue
		}
		if err != nil || got.Reveal() != want {
			t.Errorf("%q: got %q, %v, want %q", path, got.Reveal(), err, want)
		}
	}
}

func TestAnEnvelopeOpensOnlyWhereItWasSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	mine, theirs := shopOf(acme), shopOf(events.Tenant{Scope: "organization", Identity: "mallory"})
	w.connect(mine, `{"apiKey":"mine","hook":{"secret":"hook"}}`)
	w.connect(theirs, `{"apiKey":"theirs"}`)
	var stored struct {
		Config struct {
			APIKey string `json:"apiKey"`
			Hook   struct{ Secret string }
		}
	}
	must(t, json.Unmarshal([]byte(w.raw(mine)), &stored))
	if !strings.HasPrefix(stored.Config.APIKey, "enc:v1:") {
		t.Fatalf("apiKey is stored as %s", stored.Config.APIKey)
	}
	tamper := func(r records.Ref, old, with string) {
		t.Helper()
		e, err := w.bare["connections"].Get(t.Context(), r.Key())
		must(t, err)
		value := strings.Replace(string(e.Value), old, with, 1)
		if value == string(e.Value) {
			t.Fatalf("%s is not in the record", old)
		}
		_, err = w.bare["connections"].Update(t.Context(), r.Key(), []byte(value), e.Revision)
		must(t, err)
	}
	refused := func(r records.Ref, what string) {
		t.Helper()
		record, err := w.store.Latest(t.Context(), r)
		must(t, err)
		config, err := w.store.OpenConfig(record)
		wantCode(t, err, connectors.CodeConnectorDecryptFailed)
		if config != nil || strings.Contains(withCause(err), "mine") {
			t.Errorf("%s: got %s, %s", what, config, withCause(err))
		}
		_, err = w.service.Resolve(t.Context(), r)
		wantCode(t, err, connectors.CodeConnectorDecryptFailed)
	}
	var other struct {
		Config struct {
			APIKey string `json:"apiKey"`
		}
	}
	must(t, json.Unmarshal([]byte(w.raw(theirs)), &other))
	tamper(theirs, other.Config.APIKey, stored.Config.APIKey)
	refused(theirs, "another tenant's envelope")
	tamper(theirs, stored.Config.APIKey, "in the clear")
	refused(theirs, "a secret place in the clear")
	tamper(mine, stored.Config.APIKey, stored.Config.Hook.Secret)
	refused(mine, "another field's envelope")
	tamper(mine, stored.Config.Hook.Secret, stored.Config.APIKey[:len(stored.Config.APIKey)-2])
	refused(mine, "a cut envelope")
}

// A record whose key was lost is a nuisance, not a trap: everything that needs no
// secret works, and replacing it heals it.
func TestWhatNeedsNoSecretWorksWithoutTheKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	first := w.connect(r, `{"apiKey":"canary-key"}`)
	w.store, w.service = w.process(newKeyring(t))
	v, err := w.service.Get(t.Context(), r)
	must(t, err)
	if v.Error == nil || v.Error.Code != connectors.CodeConnectorDecryptFailed {
		t.Errorf("the view's error = %v", v.Error)
	}
	sameJSON(t, string(v.Config), `{"apiKey":"***","channel":"general"}`)
	if v, err = w.service.Toggle(t.Context(), r); err != nil || v.Enabled {
		t.Errorf("toggle: %+v, %v, want it disabled", v, err)
	}
	_, err = w.service.Update(t.Context(), r, connection.UpdateInput{Tags: map[string]string{"broken": "yes"}})
	must(t, err)
	second := w.rotate(r)
	if !w.reaches(r, second) || !w.reaches(r, segment(t, first)) {
		t.Error("a URL is refused")
	}
	_, err = w.service.Update(t.Context(), r, connection.UpdateInput{Config: json.RawMessage(`{"apiKey":"new"}`)})
	wantCode(t, err, connectors.CodeConnectorDecryptFailed)
	replaced, err := w.service.Connect(t.Context(), r, connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"new"}`), Replace: true})
	must(t, err)
	if replaced.ID != first.ID || replaced.Error != nil || !w.reaches(r, segment(t, first)) {
		t.Errorf("replaced: %+v", replaced)
	}
	sameJSON(t, w.config(r), `{"apiKey":"new","channel":"general"}`)
	w.store, w.service = w.process(newKeyring(t))
	// Also a URL that nobody can tell any more gets a successor.
	replaced, err = w.service.Connect(t.Context(), r, connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"new"}`), Replace: true})
	must(t, err)
	if segment(t, replaced).Equal(second) || !w.reaches(r, segment(t, replaced)) || !w.reaches(r, second) {
		t.Error("the replacement's URL is the old one, or a URL is refused")
	}
	for range records.MostPrevious {
		w.rotate(r)
	}
	w.store, w.service = w.process(newKeyring(t))
	_, err = w.service.Connect(t.Context(), r, connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"new"}`), Replace: true})
	must(t, err)
	if n := w.urls(); n != records.MostPrevious+1 {
		t.Errorf("the index has %d URLs, want %d", n, records.MostPrevious+1)
	}
	w.store, w.service = w.process(newKeyring(t))
	must(t, ignored(w.service.Disconnect(t.Context(), r)))
}

func TestARecordThatCannotBeReadCanBeReplacedAndRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	for name, value := range map[string]string{
		"not JSON": "{", "of another kind": `[]`, "empty": "", "of another tenant": `{"scope":"organization","identity":"bob","connector":"shop","account":"default"}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := records.NewRef(acme, "shop", name)
			for _, heal := range []func() error{
				func() error {
					return ignored(w.service.Connect(t.Context(), r, connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"abc"}`), Replace: true}))
				},
				func() error { return ignored(w.service.Disconnect(t.Context(), r)) },
			} {
				_ = w.bare["connections"].Delete(t.Context(), r.Key(), 0)
				_, err := w.bare["connections"].Create(t.Context(), r.Key(), []byte(value), 0)
				must(t, err)
				_, err = w.service.Get(t.Context(), r)
				wantCode(t, err, connectors.CodeConnectorDecryptFailed)
				_, err = w.store.Get(t.Context(), r)
				wantCode(t, err, connectors.CodeConnectorDecryptFailed)
				_, err = w.service.Toggle(t.Context(), r)
				wantCode(t, err, connectors.CodeConnectorDecryptFailed)
				_, err = w.service.Connect(t.Context(), r, connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"abc"}`)})
				wantCode(t, err, connectors.CodeConnectorAlreadyConnected)
				must(t, heal())
				if _, err := w.service.Get(t.Context(), r); err != nil {
					wantCode(t, err, connectors.CodeConnectorNotConnected)
				}
			}
		})
	}
}
