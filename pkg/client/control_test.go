package client_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/client"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

func connectionsLiveTheirWholeLife(t *testing.T, s *system) {
	c := s.client(t, nil)
	org := c.Scope("organization", "ünï.1")
	made, err := org.Connect(t.Context(), "echo", echoConfig{APIKey: secretText("k-canary-0123")}, &client.ConnectOptions{Tags: map[string]string{"team": "red"}})
	if err != nil {
		t.Fatal(err)
	}
	if made.State != "active" || !made.Enabled || made.Identity != "ünï.1" || made.Account != "default" || made.Tags["team"] != "red" {
		t.Errorf("connected as %+v", made)
	}
	if strings.Contains(string(made.Config), "canary") || strings.Contains(fmt.Sprintf("%+v", made), "canary") {
		t.Errorf("the config shows its secret: %s", made.Config)
	}
	if !strings.HasPrefix(made.WebhookURL.Reveal(), "http://127.0.0.1:") || strings.HasSuffix(made.WebhookURL.Reveal(), "***") {
		t.Errorf("the webhook URL of a new connection is not whole")
	}
	runtime, err := org.Resolve(t.Context(), "echo")
	if err != nil || runtime.BaseURL != "https://echo.example.com" || runtime.Headers["X-Key"].Reveal() != "k-canary-0123" {
		t.Errorf("resolved to %v, %v, want the key that was sent", runtime, err)
	}

	got, err := org.Get(t.Context(), "echo")
	if err != nil || got.ID != made.ID || !strings.HasSuffix(got.WebhookURL.Reveal(), "/***") {
		t.Errorf("got %+v, %v, want the connection with its webhook URL masked", got, err)
	}
	rotated, err := org.RotateWebhook(t.Context(), "echo")
	if err != nil || rotated.WebhookURL.Equal(made.WebhookURL) || rotated.PreviousWebhookURLUntil == nil {
		t.Errorf("rotated to %+v, %v, want a new webhook URL and the end of the old one", rotated, err)
	}
	off, err := org.Toggle(t.Context(), "echo")
	if err != nil || off.Enabled || off.State != "disabled" {
		t.Errorf("toggled to %+v, %v, want it disabled", off, err)
	}
	_, err = org.Action("echo", "say").Call(t.Context(), said{"hi"})
	wantCode(t, err, connectors.CodeConnectorDisabled)
	changed, err := org.Update(t.Context(), "echo", client.Change{
		Enabled: new(true), Config: map[string]any{"greeting": "hey"}, Tags: map[string]string{},
	})
	if err != nil || !changed.Enabled || !strings.Contains(string(changed.Config), `"hey"`) || len(changed.Tags) != 0 {
		t.Errorf("updated to %+v, %v", changed, err)
	}
	if _, err := org.Update(t.Context(), "echo", client.Change{Config: echoConfig{APIKey: secretText("k-other-9876"), Greeting: "ho"}}); err != nil {
		t.Fatal(err)
	}
	if runtime, err = org.Resolve(t.Context(), "echo"); err != nil || runtime.Headers["X-Key"].Reveal() != "k-other-9876" {
		t.Errorf("after an update with a struct: %v, %v, want its secret", runtime, err)
	}
	if err := org.Disconnect(t.Context(), "echo"); err != nil {
		t.Error(err)
	}
	wantCode(t, org.Disconnect(t.Context(), "echo"), connectors.CodeConnectorNotConnected)
	_, err = org.Get(t.Context(), "echo")
	wantCode(t, err, connectors.CodeConnectorNotConnected)
}

func listsAreOfOneTenant(t *testing.T, s *system) {
	c := s.client(t, nil)
	org := connected(t, c.Scope("organization", "a.b"))
	connected(t, c.Scope("organization", "a"))
	connected(t, c.Scope("organization", "a*"))
	for _, account := range []string{"sales", "support"} {
		if _, err := org.Account(account).Connect(t.Context(), "echo", map[string]any{"apiKey": secretText("k-0123456789")}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := org.Account("sales").Toggle(t.Context(), "echo"); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		opts  *client.ListOptions
		want  []string
		count int
	}{
		"all":      {nil, []string{"default", "sales", "support"}, 3},
		"enabled":  {&client.ListOptions{Enabled: new(true)}, []string{"default", "support"}, 2},
		"disabled": {&client.ListOptions{Enabled: new(false)}, []string{"sales"}, 1},
		"page":     {&client.ListOptions{Name: "Echo", Offset: 1, Limit: 1}, []string{"sales"}, 3},
		"nothing":  {&client.ListOptions{Name: "other"}, nil, 0},
	} {
		list, err := org.List(t.Context(), tc.opts)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, conn := range list {
			if conn.Identity != "a.b" {
				t.Errorf("%s: the list of a.b holds a connection of %q", name, conn.Identity)
			}
			got = append(got, conn.Account)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s: accounts (-want +got):\n%s", name, diff)
		}
		if n, err := org.Count(t.Context(), tc.opts); err != nil || n != tc.count {
			t.Errorf("%s: count %d, %v, want %d", name, n, err, tc.count)
		}
	}
}

func refusalsAreTyped(t *testing.T, s *system) {
	c := s.client(t, nil)
	org := connected(t, c.Scope("organization", "refused"))
	_, err := org.Connect(t.Context(), "echo", map[string]string{"apiKey": "other-key"}, nil)
	wantCode(t, err, connectors.CodeConnectorAlreadyConnected)
	if _, err := org.Connect(t.Context(), "echo", map[string]string{"apiKey": "other-key"}, &client.ConnectOptions{Replace: true}); err != nil {
		t.Errorf("replace: %v", err)
	}
	_, err = org.Account("x").Connect(t.Context(), "echo", map[string]any{"apiKey": "k", "greeting": strings.Repeat("x", 21), "colour": "red"}, nil)
	e := wantCode(t, err, connectors.CodeConnectorConfigInvalid)
	if len(e.Errors) != 3 || e.Errors[0].Path == "" {
		t.Errorf("field errors %v, want three with their paths", e.Errors)
	}
	_, err = org.Connect(t.Context(), "nope", nil, nil)
	wantCode(t, err, connectors.CodeConnectorNotFound)
	_, err = c.Scope("planet", "mars").Get(t.Context(), "echo")
	wantCode(t, err, connectors.CodeConnectorScopeInvalid)
	for name, config := range map[string]any{
		"no JSON":           func() {},
		"a redacted secret": map[string]string{"apiKey": "[redacted]"},
		"no object":         "text",
	} {
		_, err = org.Account("y").Connect(t.Context(), "echo", config, nil)
		if e := wantCode(t, err, connectors.CodeConnectorConfigInvalid); len(e.Errors) == 0 {
			t.Errorf("%s: %v, want it to say what is wrong", name, e)
		}
	}
}

func theCatalogueSaysWhatThereIs(t *testing.T, s *system) {
	c := s.client(t, nil)
	connected(t, c.Scope("organization", "catalogue"))
	list, err := c.Connectors(t.Context(), &client.CatalogueOptions{Name: "echo", CountConnections: true})
	if err != nil || len(list) != 1 || list[0].Key != "echo" || list[0].Connections == nil || *list[0].Connections < 1 {
		t.Fatalf("catalogue = %+v, %v, want echo with its connections", list, err)
	}
	got, err := c.Connector(t.Context(), "echo")
	if err != nil {
		t.Fatal(err)
	}
	if got.Type != connectors.AuthAPIKey || !got.HasDefaultConfig || len(got.Actions) != 5 || got.Webhook == nil || len(got.Fields) != 3 {
		t.Errorf("connector = %+v", got)
	}
	if _, wrong := got.ConfigSchema.Validate([]byte(`{"apiKey":"k"}`)); len(wrong) != 1 {
		t.Errorf("the schema finds %v, want the short key", wrong)
	}
	_, err = c.Connector(t.Context(), "nope")
	wantCode(t, err, connectors.CodeConnectorNotFound)
}

func TestWithoutHawserTheCallerIsToldAtOnce(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	c := newClient(t, env.Conn(t), &client.Options{Timeout: 5 * time.Second, PublishTimeout: 200 * time.Millisecond})
	org := c.Scope("organization", "o")
	_, err := org.Get(t.Context(), "echo")
	if e := wantCode(t, err, connectors.CodeConnectorUnavailable); !errors.Is(err, events.ErrNoResponders) || !strings.Contains(e.Message, "ingress") {
		t.Errorf("without an ingress: %v, want advice", err)
	}
	// There is no stream.
	_, err = org.Action("echo", "say").Call(t.Context(), said{"hi"})
	wantCode(t, err, connectors.CodeConnectorDatabaseFailed)
	if pending, ok := errors.AsType[*client.PendingError](err); !ok || pending.Stored || pending.ID == "" {
		t.Errorf("without a stream: %v, want a request of which nobody knows", err)
	}
	id, err := org.Action("echo", "say").Publish(t.Context(), said{"hi"}, nil)
	wantCode(t, err, connectors.CodeConnectorDatabaseFailed)
	if id == "" {
		t.Error("without a stream the request has no id to be repeated with")
	}
	_, err = org.On(t.Context(), client.Filter{}, nil, &client.OnOptions{Durable: "d"})
	if err == nil {
		t.Error("a durable subscription without a stream began")
	}
	_, err = org.On(t.Context(), client.Filter{}, nil, &client.OnOptions{Since: time.Unix(0, 0)})
	if err == nil {
		t.Error("a replay without a stream began")
	}
}

func TestAClientNeedsAConnectionAndAPrefixThatIsOneToken(t *testing.T) {
	t.Parallel()
	if _, err := client.New(nil, nil); err == nil {
		t.Error("a client without a connection was made")
	}
	env := testenv.Start(t, nil)
	if _, err := client.New(env.Conn(t), &client.Options{Prefix: "a.b"}); err == nil {
		t.Error("a client with a prefix of two tokens was made")
	}
}
