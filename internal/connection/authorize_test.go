package connection_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

const grantKey = "organization.acme.shop.0123"

func nothing(*records.Connection) events.Data { return events.Data{} }

// authorize stores what a flow has made.
func (w *world) authorize(r records.Ref, in connection.AuthorizeInput) *records.Connection {
	w.Helper()
	in.Config = json.RawMessage(`{"apiKey":"canary-key"}`)
	stored, err := w.service.Authorize(w.Context(), r, in)
	must(w, err)
	return stored.Record
}

func (w *world) state(r records.Ref) records.State {
	w.Helper()
	c, err := w.store.Latest(w.Context(), r)
	must(w, err)
	return c.State
}

// The owner's switch and the provider's word are two things: neither undoes the other.
func TestAGrantThatDiesLeavesWhatIsDisabledDisabled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	w.authorize(r, connection.AuthorizeInput{Grant: grantKey})
	step := func(want records.State, do func() error) {
		t.Helper()
		must(t, do())
		if got := w.state(r); got != want {
			t.Fatalf("state = %s, want %s", got, want)
		}
	}
	toggle := func() error { return ignored(w.service.Toggle(t.Context(), r)) }
	dies := func() error { return w.service.MarkNeedsReauth(t.Context(), r, grantKey, nothing) }
	lives := func() error { return w.service.Reactivate(t.Context(), r, grantKey) }
	step(records.Disabled, toggle)
	step(records.Disabled, dies)
	step(records.Disabled, dies) // announced once
	step(records.NeedsReauth, toggle)
	step(records.NeedsReauth, dies)
	step(records.Disabled, toggle)
	step(records.Disabled, lives)
	step(records.Active, toggle)
	step(records.NeedsReauth, dies)
	step(records.Active, lives)
	step(records.Active, lives)
	step(records.NeedsReauth, dies)
	step(records.NeedsReauth, func() error { return w.service.Reactivate(t.Context(), r, "organization.acme.shop.other") })
	want := []string{
		"connector.disabled", "oauth.needs_reauth", "connector.enabled", "connector.disabled", "connector.updated", "connector.enabled",
		"oauth.needs_reauth", "connector.updated", "oauth.needs_reauth",
	}
	if diff := cmp.Diff(want, w.kinds(acme)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestANewAuthorisationKeepsWhatOthersKnowAndForgetsWhatWasWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	first := w.authorize(r, connection.AuthorizeInput{Grant: grantKey, GrantReference: "first", Tags: map[string]string{"a": "b"}})
	must(t, w.service.MarkNeedsReauth(t.Context(), r, grantKey, nothing))
	must(t, ignored(w.service.Toggle(t.Context(), r)))
	_, err := w.service.Authorize(t.Context(), r, connection.AuthorizeInput{Config: json.RawMessage(`{"apiKey":"abc"}`), Grant: "other"})
	wantCode(t, err, connectors.CodeConnectorAlreadyConnected)
	stored, err := w.service.Authorize(t.Context(), r, connection.AuthorizeInput{Config: json.RawMessage(`{"apiKey":"abc"}`), Grant: "other", GrantReference: "second", Replace: true})
	must(t, err)
	second, before := stored.Record, stored.Replaced
	if second.ID != first.ID || !second.CreatedAt.Equal(first.CreatedAt) || second.Webhook.Hash != first.Webhook.Hash || before.Grant != grantKey || before.GrantReference != "first" {
		t.Errorf("got %+v in place of %+v, want the same connection in place of the first", second, before)
	}
	if second.State != records.Active || second.Resumes != "" || second.Grant != "other" || second.Tags["a"] != "b" {
		t.Errorf("got %+v, want it active, with the new grant and the old tags", second)
	}
}

func TestAChoiceFinishesAConnectionAndStaysSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	sites := []records.Resource{{ID: "1", Name: "one"}, {ID: "2", Name: "two"}}
	c := w.authorize(r, connection.AuthorizeInput{Grant: grantKey, Resources: sites})
	wantPaths(t, wantCode(t, c.Usable(), connectors.CodeConnectorOAuthSiteSelectionRequired), "1", "2")
	into := func(config json.RawMessage, chosen records.Resource) (json.RawMessage, error) {
		return connection.MergePatch(config, json.RawMessage(`{"note":"`+chosen.Name+`"}`), nil)
	}
	_, err := w.service.Select(t.Context(), r, "3", into)
	wantPaths(t, wantCode(t, err, connectors.CodeConnectorConfigInvalid), "resource_id")
	failed := errors.New("no")
	_, err = w.service.Select(t.Context(), r, "2", func(json.RawMessage, records.Resource) (json.RawMessage, error) { return nil, failed })
	if !errors.Is(err, failed) || w.state(r) != records.Selecting {
		t.Errorf("got %v in state %s", err, w.state(r))
	}
	v, err := w.service.Select(t.Context(), r, "2", into)
	must(t, err)
	if v.State != records.Active || v.Resource.ID != "2" || v.Resources != nil {
		t.Errorf("view = %+v", v)
	}
	sameJSON(t, w.config(r), `{"apiKey":"canary-key","channel":"general","note":"two"}`)
	if raw := w.raw(r); strings.Contains(raw, "canary") {
		t.Errorf("the record is %s", raw)
	}
	_, err = w.service.Select(t.Context(), r, "1", into)
	wantCode(t, err, connectors.CodeConnectorConfigInvalid)
}

func TestAGrantBelongsWhereItsKeySays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	grants := records.NewGrants(w.buckets, w.store.Sealer())
	key := records.GrantKey(acme, "shop", "client", "account")
	g := grants.New(key)
	g.Scope, g.Identity, g.Family = acme.Scope, acme.Identity, "shop"
	must(t, grants.Seal(g, records.GrantTokens{Access: secret.New("canary-access"), Refresh: secret.New("canary-refresh")}))
	must(t, grants.Save(t.Context(), g))
	got, err := grants.Latest(t.Context(), key)
	must(t, err)
	tokens, err := grants.Open(got)
	if err != nil || tokens.Access.Reveal() != "canary-access" || tokens.Refresh.Reveal() != "canary-refresh" {
		t.Errorf("tokens: %v", err)
	}
	stored, err := w.bare["grants"].Get(t.Context(), key)
	must(t, err)
	if strings.Contains(string(stored.Value), "canary") {
		t.Errorf("the record is %s", stored.Value)
	}
	theirs := records.GrantKey(events.Tenant{Scope: "organization", Identity: "mallory"}, "shop", "client", "account")
	must(t, ignored(w.bare["grants"].Create(t.Context(), theirs, stored.Value, 0)))
	if _, err := grants.Latest(t.Context(), theirs); err == nil || errors.Is(err, kvstore.ErrNotFound) {
		t.Errorf("a grant that was moved is taken: %v", err)
	}
}

func TestOneSigningKeyIsMadeAndKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	keys := make([]secret.Text, 8)
	for _, err := range atOnce(len(keys), func(i int) (err error) {
		keys[i], err = records.SigningKey(t.Context(), w.buckets, w.store.Sealer())
		return err
	}) {
		must(t, err)
	}
	for _, key := range keys {
		if !key.Equal(keys[0]) || len(key.Reveal()) < 40 {
			t.Error("two callers have different keys, or short ones")
		}
	}
	for name, value := range w.everything() {
		if strings.Contains(value, keys[0].Reveal()) {
			t.Errorf("%s holds the key in the clear", name)
		}
	}
	rotated, err := w.keys.Rotate()
	must(t, err)
	both, err := crypto.ParseKeyset(rotated)
	must(t, err)
	store, _ := w.process(both)
	must(t, ignored(records.SigningKey(t.Context(), w.buckets, store.Sealer())))
	alone, err := both.RemoveKey(w.keys.PrimaryID())
	must(t, err)
	second, err := crypto.ParseKeyset(alone)
	must(t, err)
	store, _ = w.process(second)
	if key, err := records.SigningKey(t.Context(), w.buckets, store.Sealer()); err != nil || !key.Equal(keys[0]) {
		t.Errorf("without the old key it is another, or %v", err)
	}
	stranger, _ := w.process(newKeyring(t))
	_, err = records.SigningKey(t.Context(), w.buckets, stranger.Sealer())
	wantCode(t, err, connectors.CodeConnectorDecryptFailed)
}
