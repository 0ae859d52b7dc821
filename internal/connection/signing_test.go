package connection_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// give gives a shop another webhook secret; "null" takes it away.
func (w *world) give(r records.Ref, secret string, grace ...time.Duration) {
	w.Helper()
	in := connection.UpdateInput{Config: json.RawMessage(`{"hook":{"secret":` + secret + `}}`)}
	if len(grace) > 0 {
		in.SecretGrace = &grace[0]
	}
	_, err := w.service.Update(w.Context(), r, in)
	must(w, err)
}

// signing are the secrets that verify for r, the present one first.
func (w *world) signing(r records.Ref) []string {
	w.Helper()
	c, err := w.store.Latest(w.Context(), r)
	must(w, err)
	all, err := w.store.SigningSecrets(c, "hook.secret")
	must(w, err)
	var texts []string
	for _, s := range all {
		texts = append(texts, s.Reveal())
	}
	if len(texts) > 1 {
		slices.Sort(texts[1:])
	}
	return texts
}

func (w *world) wantSigning(r records.Ref, want ...string) {
	w.Helper()
	if got := w.signing(r); !slices.Equal(got, want) {
		w.Errorf("the secrets are %q, want %q", got, want)
	}
}

func TestAReplacedWebhookSecretVerifiesForItsGraceAndNoLonger(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	w.connect(r, `{"apiKey":"key","hook":{"secret":"canary-one"}}`)
	w.wantSigning(r, "canary-one")
	w.give(r, `"canary-two"`)
	w.wantSigning(r, "canary-two", "canary-one")
	view, err := w.service.Get(t.Context(), r)
	must(t, err)
	if until := w.clock.now().Add(records.SecretGrace); view.PreviousSecretUntil == nil || view.PreviousSecretUntil.Sub(until).Abs() > time.Minute {
		t.Errorf("the view says until %v, want %v", view.PreviousSecretUntil, until)
	}
	w.clock.add(time.Hour)
	w.give(r, `"canary-three"`, 2*time.Hour)
	w.wantSigning(r, "canary-three", "canary-one", "canary-two")
	w.clock.add(2 * time.Hour)
	w.wantSigning(r, "canary-three", "canary-one")
	w.clock.add(records.SecretGrace - 3*time.Hour)
	w.wantSigning(r, "canary-three")
	if !strings.Contains(w.raw(r), "retired_secrets") {
		t.Fatal("the test does not see where they lie")
	}
	_, err = w.service.Toggle(t.Context(), r)
	must(t, err)
	if strings.Contains(w.raw(r), "retired_secrets") {
		t.Error("what does not verify any more is still stored after a change")
	}
}

func TestReplacedWebhookSecretsAreSealedAndMovedByNoOtherChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	w.connect(r, `{"apiKey":"key","hook":{"secret":"canary-one"}}`)
	w.give(r, `"canary-two"`)
	_, err := w.service.RotateWebhook(t.Context(), r)
	must(t, err)
	_, err = w.service.Update(t.Context(), r, connection.UpdateInput{Config: json.RawMessage(`{"channel":"x"}`)})
	must(t, err)
	w.wantSigning(r, "canary-two", "canary-one")
	for place, value := range w.everything() {
		if strings.Contains(value, "canary-") {
			t.Errorf("%s holds a secret in the clear", place)
		}
	}
	view, err := w.service.Get(t.Context(), r)
	must(t, err)
	text, err := json.Marshal(view)
	must(t, err)
	if strings.Contains(string(text), "canary-one") || strings.Contains(string(text), "enc:") {
		t.Errorf("the view shows %s", text)
	}
}

func TestAWebhookSecretThatLeakedEndsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	w.connect(r, `{"apiKey":"key","hook":{"secret":"one"}}`)
	w.give(r, `"two"`)
	w.give(r, `"three"`, 0)
	w.wantSigning(r, "three")
	w.give(r, `"four"`)
	w.give(r, `null`)
	w.wantSigning(r)
	w.give(r, `"five"`)
	w.wantSigning(r, "five")
	w.give(r, `"six"`)
	_, err := w.service.Connect(t.Context(), r, connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"key","hook":{"secret":"seven"}}`), Replace: true})
	must(t, err)
	w.wantSigning(r, "seven")
}

func TestSecretsThatVerifyAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	w.connect(r, `{"apiKey":"key","hook":{"secret":"s-00"}}`)
	for n := 1; n <= 12; n++ {
		w.give(r, fmt.Sprintf(`"s-%02d"`, n))
	}
	w.wantSigning(r, "s-12", "s-08", "s-09", "s-10", "s-11")
}

// What the cache holds opened goes with the record: whoever changes the secret is
// obeyed by processes that have used the old one.
func TestOpenedSecretsGoWithTheirRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{nats: true})
	run(t, w.store.Run)
	other, _ := w.process(w.keys)
	run(t, other.Run)
	r := shopOf(acme)
	w.connect(r, `{"apiKey":"key","hook":{"secret":"one"}}`)
	present := func() string {
		c, err := other.Get(t.Context(), r)
		must(t, err)
		s, err := other.ConfigSecret(c, "hook.secret")
		must(t, err)
		return s.Reveal()
	}
	testenv.Eventually(t, "the present secret in the cache", func() bool { held, _ := other.CacheUse(); return present() == "one" && held == 1 })
	w.give(r, `"two"`)
	testenv.Eventually(t, "the present secret in the cache", func() bool { return present() == "two" })
	// Opened once, also by many at a time, and never out of the cache's record.
	c, err := other.Get(t.Context(), r)
	must(t, err)
	if fmt.Sprintf("%v %+v", c, c) == "" || strings.Contains(fmt.Sprintf("%v %+v", c, c), "two") {
		t.Error("a record prints what was opened of it")
	}
}

func TestASecretThatCanNeverVerifyIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	scopes, err := connection.ParseScopes("organization")
	must(t, err)
	asked := 0
	service := connection.NewService(w.store, w.definitions, scopes, w.bus, &connection.ServiceOptions{
		BaseURL: base, OnError: w.problem,
		CheckSecret: func(webhook *webhooks.Descriptor, s secret.Text) error {
			asked++
			if webhook.SecretField != "hook.secret" || s.Reveal() == "canary-bad" || s.IsZero() {
				return errors.New("is no secret")
			}
			return nil
		},
	})
	r := shopOf(acme)
	refused := func(err error) {
		t.Helper()
		e := connectors.AsError(err)
		if e == nil || e.Code != connectors.CodeConnectorConfigInvalid || len(e.Errors) != 1 || e.Errors[0].Path != "hook.secret" || strings.Contains(fmt.Sprint(e, e.Errors), "canary") {
			t.Errorf("got %v", err)
		}
	}
	for _, bad := range []string{`"canary-bad"`, `""`} {
		_, err = service.Connect(t.Context(), r, connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"key","hook":{"secret":` + bad + `}}`)})
		refused(err)
	}
	_, err = service.Connect(t.Context(), r, connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"key"}`)})
	must(t, err)
	_, err = service.Update(t.Context(), r, connection.UpdateInput{Config: json.RawMessage(`{"hook":{"secret":"canary-bad"}}`)})
	refused(err)
	_, err = service.Update(t.Context(), r, connection.UpdateInput{Config: json.RawMessage(`{"hook":{"secret":"good"}}`)})
	must(t, err)
	if asked != 4 {
		t.Errorf("asked %d times, want 4: never where there is no secret", asked)
	}
}
