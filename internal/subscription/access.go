package subscription

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// access is what calls about the registrations of one connection need.
type access struct {
	connector  *connectors.Connector
	connection *records.Connection
	config     json.RawMessage
	to         connectors.WebhookEndpoint
	segment    secret.Text      // of the webhook's URL
	call       *connectors.Call // nil before [Runtime.open]
}

// lists reports whether the provider lists registrations.
func (a *access) lists() bool { return a.connector.Subscription.List != nil }

// accessOf returns the access of a connection without a call. ok is false if its connector
// registers no webhooks, or this process does not serve it.
func (r *Runtime) accessOf(c *records.Connection) (a *access, ok bool, err error) {
	def, served := r.Calls.Connector(c.Connector, c.ConnectorVersion)
	if !served || def.Subscription == nil || def.Registrar == nil || def.Webhook == nil || c.Webhook == nil {
		return nil, false, nil
	}
	a = &access{connector: def, connection: c}
	if a.config, err = r.Connections.OpenConfig(c); err != nil {
		return nil, false, err
	}
	if a.segment, err = r.Connections.OpenWebhookURL(c); err != nil {
		return nil, false, err
	}
	if a.to.URL, err = r.Service.WebhookURL(c); err != nil {
		return nil, false, err
	}
	if field := def.Webhook.SecretField; field != "" {
		if text, there := records.TextAt(a.config, field); there && text != "" {
			a.to.Secret = secret.New(text)
		}
	}
	return a, true, nil
}

// segmentOf returns the secret of a URL that differs from the connection's webhook URL in
// nothing else; false for any other URL.
func (a *access) segmentOf(url secret.Text) (secret.Text, bool) {
	rest, ok := strings.CutPrefix(url.Reveal(), strings.TrimSuffix(a.to.URL.Reveal(), a.segment.Reveal()))
	rest, _, _ = strings.Cut(rest, "?")
	if rest = strings.TrimSuffix(rest, "/"); !ok || rest == "" || strings.Contains(rest, "/") {
		return secret.Text{}, false
	}
	return secret.New(rest), true
}

// snapshotAccess is accessOf the connection that a registration was made for.
func (r *Runtime) snapshotAccess(of *records.Registration) (*access, bool, error) {
	c, err := records.ParseSealed(of.Connection)
	if err != nil {
		return nil, false, err
	}
	a, ok, err := r.accessOf(c)
	if ok {
		a.to.ID = of.Nonce
	}
	return a, ok, err
}

// open adds the call.
func (r *Runtime) open(ctx context.Context, a *access) (err error) {
	if a.call == nil {
		a.call, err = r.Calls.Build(ctx, a.connector, a.connection, a.config)
	}
	return err
}

// hasRequired reports whether the config has all that a registration needs.
func (a *access) hasRequired() bool {
	return !slices.ContainsFunc(a.connector.Subscription.Requires, func(field string) bool {
		switch string(records.FieldAt(a.config, field)) {
		case "", "null", `""`, "[]":
			return true
		}
		return false
	})
}

// registrationOf returns a recorded registration as requests need it.
func registrationOf(of *records.Registration) connectors.Registration {
	return connectors.Registration{ID: of.ID, Values: of.Values, ExpiresAt: of.ExpiresAt}
}

// sameID reports whether two ids are the same, whether as text or as number.
func sameID(a, b json.RawMessage) bool { return len(a) > 0 && idText(a) == idText(b) }

func idText(id json.RawMessage) string {
	var text string
	if json.Unmarshal(id, &text) == nil {
		return text
	}
	return string(id)
}
