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

// AppSecrets are the webhook secrets of the operator's apps at providers. Safe for
// concurrent use; the answer may change at any time, so that secrets can be rotated.
type AppSecrets interface {
	// WebhookSecrets returns what an app's webhooks may be signed with, the current
	// secret first and then those in overlap; none if there is no such app.
	WebhookSecrets(ctx context.Context, connector string, which webhooks.AppSecret) ([]secret.Text, error)
	// VerifyTokens returns the verify tokens of an app's handshakes.
	VerifyTokens(ctx context.Context, connector string) ([]secret.Text, error)
}

// EnvAppSecrets reads the secrets of apps from the environment, with the connector's
// key in capitals and _ for -:
//
//	HAWSER_APP_<CONNECTOR>_WEBHOOK_SECRET, …_WEBHOOK_SECRET_PREVIOUS
//	HAWSER_APP_<CONNECTOR>_CLIENT_SECRET, …_CLIENT_SECRET_PREVIOUS  several: separated by blanks
//	HAWSER_APP_<CONNECTOR>_VERIFY_TOKEN
type EnvAppSecrets func(name string) string

// WebhookSecrets implements [AppSecrets].
func (env EnvAppSecrets) WebhookSecrets(_ context.Context, connector string, which webhooks.AppSecret) ([]secret.Text, error) {
	if which == webhooks.AppWebhookSecret {
		return env.read(connector, "_WEBHOOK_SECRET", "_WEBHOOK_SECRET_PREVIOUS"), nil
	}
	var all []secret.Text
	for _, texts := range env.read(connector, "_CLIENT_SECRET", "_CLIENT_SECRET_PREVIOUS") {
		for text := range strings.FieldsSeq(texts.Reveal()) {
			all = append(all, secret.New(text))
		}
	}
	return all, nil
}

// VerifyTokens implements [AppSecrets].
func (env EnvAppSecrets) VerifyTokens(_ context.Context, connector string) ([]secret.Text, error) {
	return env.read(connector, "_VERIFY_TOKEN"), nil
}

func (env EnvAppSecrets) read(connector string, names ...string) []secret.Text {
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

// signing returns what deliveries to the connection may be signed with: its own
// secret and those it replaced within their grace time, and the secrets of the
// operator's app where the provider signs with the app's.
func (s *secrets) signing(ctx context.Context, d *delivery) ([]secret.Text, error) {
	own, err := s.connections.SigningSecrets(d.conn, d.def.Webhook.SecretField)
	if err != nil {
		s.reportError(ctx, d.conn.About(), "webhook", connectors.AsError(err))
	}
	if err != nil || d.def.Webhook.AppSecret == "" {
		return own, err
	}
	app, err := s.ofApp(ctx, d.def)
	return append(own, app...), err
}

// ofApp returns what the operator's app signs with. Where that is its OAuth client
// secret, it includes the one that token requests use: see [records.Apps].
func (s *secrets) ofApp(ctx context.Context, def *connectors.Connector) ([]secret.Text, error) {
	all, err := s.env.WebhookSecrets(ctx, def.Key, def.Webhook.AppSecret)
	if err != nil || def.Webhook.AppSecret != webhooks.AppClientSecret {
		return all, err
	}
	app, _, err := s.apps.Get(ctx, def)
	if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorOAuthNotConfigured}) {
		return all, nil
	}
	return append(all, app.ClientSecrets...), err
}

// verifyTokens returns the verify tokens of the connection's handshakes; none if the
// webhook names no field for them.
func (s *secrets) verifyTokens(ctx context.Context, d *delivery) ([]secret.Text, error) {
	field := d.def.Webhook.TokenField
	if field == "" {
		return nil, nil
	}
	own, err := s.connections.ConfigSecret(d.conn, field)
	if err != nil {
		return nil, err
	}
	tokens, err := s.env.VerifyTokens(ctx, d.conn.Connector)
	if !own.IsZero() {
		tokens = append([]secret.Text{own}, tokens...)
	}
	return tokens, err
}

// appWide returns what an app's webhooks are verified with. An app without a secret
// has no webhook, unless the provider signs with public keys of its own: what
// anybody could send is not accepted for all tenants.
func (s *secrets) appWide(ctx context.Context, def *connectors.Connector) (signing, tokens []secret.Text, err error) {
	none := connectors.Errorf(connectors.CodeConnectorWebhookNotConfigured, "%s has no app-wide webhook here", def.Key)
	w := def.Webhook
	if w == nil || w.Delivery.Account == "" || slices.ContainsFunc(w.Verify, func(v webhooks.Verification) bool { return v.Scheme == webhooks.SchemeUnsigned }) {
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
	tokens, err = s.env.VerifyTokens(ctx, def.Key)
	return signing, tokens, err
}
