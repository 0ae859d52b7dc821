package receive

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// AppSecrets reads the webhook secrets of the operator's apps at providers from an
// environment, for example [os.Getenv]; nil has none. The names have the connector's key
// in capitals, and _ for -:
//
//	HAWSER_APP_<CONNECTOR>_WEBHOOK_SECRET, …_WEBHOOK_SECRET_PREVIOUS
//	HAWSER_APP_<CONNECTOR>_CLIENT_SECRET, …_CLIENT_SECRET_PREVIOUS  several: separated by blanks
//	HAWSER_APP_<CONNECTOR>_VERIFY_TOKEN
type AppSecrets func(name string) string

// Signing returns what an app's webhooks may be signed with, the current secret first
// and then those in overlap; none if there is no such app.
func (env AppSecrets) Signing(connector string, which webhooks.AppSecret) []secret.Text {
	if which == webhooks.AppWebhookSecret {
		return env.read(connector, "_WEBHOOK_SECRET", "_WEBHOOK_SECRET_PREVIOUS")
	}
	var all []secret.Text
	for _, texts := range env.read(connector, "_CLIENT_SECRET", "_CLIENT_SECRET_PREVIOUS") {
		for text := range strings.FieldsSeq(texts.Reveal()) {
			all = append(all, secret.New(text))
		}
	}
	return all
}

// VerifyTokens returns the verify tokens of an app's handshakes.
func (env AppSecrets) VerifyTokens(connector string) []secret.Text {
	return env.read(connector, "_VERIFY_TOKEN")
}

func (env AppSecrets) read(connector string, names ...string) []secret.Text {
	if env == nil {
		return nil
	}
	var found []secret.Text
	for _, name := range names {
		if v := env("HAWSER_APP_" + strings.ToUpper(strings.ReplaceAll(connector, "-", "_")) + name); v != "" {
			found = append(found, secret.New(v))
		}
	}
	return found
}

// secrets finds what deliveries and handshakes are verified with.
type secrets struct {
	connections *records.Connections
	apps        *records.Apps
	env         AppSecrets
	reportError func(ctx context.Context, about events.EventContext, operation string, e *connectors.Error)
}

// ofConnection returns what deliveries to the connection may be signed with, and the
// verify tokens of its handshakes. Deliveries may be signed with the connection's own
// secret and those it replaced within their grace time, and with the secrets of the
// operator's app where the provider signs with the app's.
func (s *secrets) ofConnection(ctx context.Context, d *delivery) (signing, tokens []secret.Text, err error) {
	hook := d.def.Webhook
	if signing, err = s.connections.SigningSecrets(d.conn, hook.SecretField); err != nil {
		s.reportError(ctx, d.conn.About(), "webhook", connectors.AsError(err))
		return nil, nil, err
	}
	if hook.AppSecret != "" {
		app, err := s.ofApp(ctx, d.def)
		if err != nil {
			return nil, nil, err
		}
		signing = append(signing, app...)
	}
	if hook.TokenField == "" {
		return signing, nil, nil
	}
	token, err := s.connections.ConfigSecret(d.conn, hook.TokenField)
	if err != nil {
		return nil, nil, err
	}
	if !token.IsZero() {
		tokens = []secret.Text{token}
	}
	return signing, append(tokens, s.env.VerifyTokens(d.def.Key)...), nil
}

// ofApp returns what the operator's app signs with. Where that is its OAuth client
// secret, it includes the one that token requests use: see [records.Apps].
func (s *secrets) ofApp(ctx context.Context, def *connectors.Connector) ([]secret.Text, error) {
	all := s.env.Signing(def.Key, def.Webhook.AppSecret)
	if def.Webhook.AppSecret != webhooks.AppClientSecret {
		return all, nil
	}
	app, _, err := s.apps.Get(ctx, def)
	if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorOAuthNotConfigured}) {
		return all, nil
	}
	return append(all, app.ClientSecrets...), err
}

// appWide returns what an app's webhooks are verified with. An app without a secret
// has no webhook, unless the provider signs with public keys of its own: what
// anybody could send is not accepted for all tenants.
func (s *secrets) appWide(ctx context.Context, def *connectors.Connector) (signing, tokens []secret.Text, err error) {
	none := connectors.Errorf(connectors.CodeConnectorWebhookNotConfigured, "%s has no app-wide webhook here", def.Key)
	w := def.Webhook
	if w.Delivery.Account == "" || slices.ContainsFunc(w.Verify, func(v webhooks.Verification) bool { return v.Scheme == webhooks.SchemeUnsigned }) {
		return nil, nil, none
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if w.AppSecret != "" {
		if signing, err = s.ofApp(ctx, def); err != nil {
			return nil, nil, err
		}
	}
	if len(signing) == 0 && (w.AppSecret != "" || w.SecretField != "") {
		return nil, nil, none
	}
	return signing, s.env.VerifyTokens(def.Key), nil
}
