package connection_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// states is every state, the one of no connection included.
var states = []records.State{"", records.Pending, records.Selecting, records.Active, records.Disabled, records.NeedsReauth}

func TestTheTransitionTableIsWhole(t *testing.T) {
	t.Parallel()
	const (
		none, pending, selecting = records.State(""), records.Pending, records.Selecting
		active, disabled, reauth = records.Active, records.Disabled, records.NeedsReauth
	)
	allowed := map[[2]records.State]bool{
		{none, pending}: true, {none, active}: true,
		{pending, pending}: true, {pending, selecting}: true, {pending, active}: true,
		{selecting, selecting}: true, {selecting, active}: true,
		{active, active}: true, {active, disabled}: true, {active, reauth}: true,
		{disabled, disabled}: true, {disabled, active}: true, {disabled, reauth}: true,
		{reauth, reauth}: true, {reauth, active}: true, {reauth, disabled}: true,
	}
	for _, from := range states {
		for _, to := range states {
			if got, want := from.CanBecome(to), allowed[[2]records.State{from, to}]; got != want {
				t.Errorf("%q can become %q: %v, want %v", from, to, got, want)
			}
		}
	}
	if records.State("strange").CanBecome(active) || active.CanBecome("strange") {
		t.Error("an unknown state is part of a transition")
	}
}

func TestAStateSaysWhyAConnectionCannotBeUsed(t *testing.T) {
	t.Parallel()
	want := map[records.State]connectors.Code{
		"": connectors.CodeConnectorNotConnected, records.Pending: connectors.CodeConnectorNotConnected,
		records.Selecting: connectors.CodeConnectorOAuthSiteSelectionRequired, records.Active: "",
		records.Disabled: connectors.CodeConnectorDisabled, records.NeedsReauth: connectors.CodeConnectorOAuthRefreshFailed,
	}
	for _, state := range states {
		c := records.Connection{State: state, Connector: "shop"}
		var got connectors.Code
		if err := c.Usable(); err != nil {
			got = connectors.AsError(err).Code
		}
		if got != want[state] {
			t.Errorf("%q: %q, want %q", state, got, want[state])
		}
		if enabled := c.Enabled(); enabled != (state != records.Disabled) {
			t.Errorf("%q: enabled = %v", state, enabled)
		}
	}
}

func TestTwoTogglesEndWhereTheyBegan(t *testing.T) {
	t.Parallel()
	for _, from := range []records.State{records.Active, records.NeedsReauth} {
		t.Run(string(from), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, setup{})
			r := shopOf(acme)
			w.connect(r, `{"apiKey":"abc"}`)
			must(t, w.service.SetState(t.Context(), r, from))
			for _, want := range []records.State{records.Disabled, from, records.Disabled, from} {
				v, err := w.service.Toggle(t.Context(), r)
				must(t, err)
				if v.State != want || v.Enabled != (want != records.Disabled) {
					t.Fatalf("toggled to %s, enabled %v, want %s", v.State, v.Enabled, want)
				}
			}
			want := []string{"connector.connected", "connector.updated", "connector.disabled", "connector.enabled", "connector.disabled", "connector.enabled"}
			if diff := cmp.Diff(want, w.kinds(acme)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAConnectionThatWasRenewedResumesAsActive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	w.connect(r, `{"apiKey":"abc"}`)
	toggle := func() records.State {
		v, err := w.service.Toggle(t.Context(), r)
		must(t, err)
		return v.State
	}
	must(t, w.service.SetState(t.Context(), r, records.NeedsReauth))
	toggle()
	toggle()
	must(t, w.service.SetState(t.Context(), r, records.Active))
	toggle()
	if got := toggle(); got != records.Active {
		t.Errorf("enabled it is %s, want active: what it needed is done", got)
	}
}

func TestWhatIsNotFinishedCannotBeToggled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	w.connect(r, `{"apiKey":"abc"}`)
	for _, state := range []records.State{records.Pending, records.Selecting} {
		must(t, w.service.SetState(t.Context(), r, state))
		_, err := w.service.Toggle(t.Context(), r)
		wantCode(t, err, connectors.CodeConnectorNotConnected)
		off := false
		_, err = w.service.Update(t.Context(), r, connection.UpdateInput{Enabled: &off})
		wantCode(t, err, connectors.CodeConnectorNotConnected)
	}
}

func TestEnablingWhatIsEnabledIsNoChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	w.connect(r, `{"apiKey":"abc"}`)
	for _, enabled := range []bool{true, false, false, true, true} {
		v, err := w.service.Update(t.Context(), r, connection.UpdateInput{Enabled: &enabled})
		must(t, err)
		if v.Enabled != enabled {
			t.Errorf("enabled = %v, want %v", v.Enabled, enabled)
		}
	}
	before := w.raw(r)
	v, err := w.service.Update(t.Context(), r, connection.UpdateInput{})
	must(t, err)
	if after := w.raw(r); after != before || v.State != records.Active {
		t.Errorf("an empty change has changed the record to %s", after)
	}
	if diff := cmp.Diff([]string{"connector.connected", "connector.disabled", "connector.enabled"}, w.kinds(acme)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestAPatchMergesConfigAndReplacesTags(t *testing.T) {
	t.Parallel()
	bothDrivers(t, func(t *testing.T, w *world) {
		r := shopOf(acme)
		w.connect(r, `{"apiKey":"key-123456789","note":"n","hook":{"secret":"whsec-123456","name":"a"}}`)
		update := func(config string, tags map[string]string) *connection.View {
			t.Helper()
			in := connection.UpdateInput{Tags: tags}
			if config != "" {
				in.Config = json.RawMessage(config)
			}
			v, err := w.service.Update(t.Context(), r, in)
			must(t, err)
			return v
		}
		update(`{"note":null,"hook":{"name":"b"}}`, nil)
		sameJSON(t, w.config(r), `{"apiKey":"key-123456789","channel":"general","hook":{"secret":"whsec-123456","name":"b"}}`)
		update(`{"apiKey":"key-987654321","channel":null}`, map[string]string{"x": "1", "y": "2"})
		sameJSON(t, w.config(r), `{"apiKey":"key-987654321","channel":"general","hook":{"secret":"whsec-123456","name":"b"}}`)
		v := update(`{}`, map[string]string{"z": "3"})
		if diff := cmp.Diff(map[string]string{"z": "3"}, v.Tags); diff != "" {
			t.Errorf("tags (-want +got):\n%s", diff)
		}
		if v = update("", map[string]string{}); len(v.Tags) != 0 {
			t.Errorf("tags = %v, want none", v.Tags)
		}
		sameJSON(t, w.config(r), `{"apiKey":"key-987654321","channel":"general","hook":{"secret":"whsec-123456","name":"b"}}`)
	})
}

func TestAPatchOfEverythingAtOnceAnnouncesEach(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	w.connect(r, `{"apiKey":"abc"}`)
	off := false
	v, err := w.service.Update(t.Context(), r, connection.UpdateInput{Enabled: &off, Config: json.RawMessage(`{"note":"x"}`), Tags: map[string]string{"a": "b"}})
	must(t, err)
	if v.Enabled || v.Tags["a"] != "b" {
		t.Errorf("view = %+v", v)
	}
	if diff := cmp.Diff([]string{"connector.connected", "connector.disabled", "connector.updated"}, w.kinds(acme)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestABadPatchChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	w.connect(r, `{"apiKey":"abc"}`)
	before, off := w.raw(r), false
	for _, config := range []string{`null`, `[]`, `"x"`, `7`, `{"apiKey":null}`, `{"apiKey":"x"}`, `{"wrong":1}`, `{"hook":[]}`} {
		_, err := w.service.Update(t.Context(), r, connection.UpdateInput{Config: json.RawMessage(config), Enabled: &off})
		if e := wantCode(t, err, connectors.CodeConnectorConfigInvalid); len(e.Errors) == 0 {
			t.Errorf("%s: the error names no field", config)
		}
	}
	if after := w.raw(r); after != before {
		t.Errorf("the record is %s, want %s", after, before)
	}
}

// A form is filled with what GET shows and sent back whole.
func TestAMaskThatComesBackIsNoNewSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	const config = `{"apiKey":"key<123456789>","channel":"general","hook":{"secret":"short","name":"n"},"servers":[{"host":"a","password":"pw-123456789"}]}`
	shown := w.connect(r, config).Config
	v, err := w.service.Update(t.Context(), r, connection.UpdateInput{Config: shown})
	must(t, err)
	sameJSON(t, w.config(r), config)
	sameJSON(t, string(v.Config), string(shown))
	_, err = w.service.Update(t.Context(), r, connection.UpdateInput{Config: json.RawMessage(`{"hook":{"secret":"***","name":"new"},"apiKey":"key<***789>!"}`)})
	must(t, err)
	sameJSON(t, w.config(r), `{"apiKey":"key<***789>!","channel":"general","hook":{"secret":"short","name":"new"},"servers":[{"host":"a","password":"pw-123456789"}]}`)
}

func TestTheVersionFollowsTheConfigAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	w.connect(r, `{"apiKey":"abc"}`)
	w.publish(shop("2.0.0", shopSchema))
	v, err := w.service.Toggle(t.Context(), r)
	must(t, err)
	if v.ConnectorVersion != "1.0.0" {
		t.Errorf("version after a toggle = %s, want 1.0.0", v.ConnectorVersion)
	}
	v, err = w.service.Update(t.Context(), r, connection.UpdateInput{Config: json.RawMessage(`{"note":"x"}`)})
	must(t, err)
	if v.ConnectorVersion != "2.0.0" {
		t.Errorf("version after a new config = %s, want 2.0.0", v.ConnectorVersion)
	}
}

func TestResolvingGivesWhatTheProviderWantsAndPrintsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	w.connect(r, `{"apiKey":"key-123456789"}`)
	got, err := w.service.Resolve(t.Context(), r)
	must(t, err)
	want := &connection.Runtime{BaseURL: "https://shop.example/v1", Headers: map[string]string{"Authorization": "Bearer key-123456789"}, Query: map[string]string{}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("runtime (-want +got):\n%s", diff)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, v := range []any{got, *got, got.LogValue()} {
			if text := fmt.Sprintf(verb, v); text == "" || containsAny(text, "key-123456789", "shop.example") {
				t.Errorf("%s prints %s", verb, text)
			}
		}
	}
	_, err = w.service.Toggle(t.Context(), r)
	must(t, err)
	_, err = w.service.Resolve(t.Context(), r)
	wantCode(t, err, connectors.CodeConnectorDisabled)
}
