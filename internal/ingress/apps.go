package ingress

import (
	"context"
	"errors"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Apps know the secrets of the operator's apps at providers. Safe for concurrent
// use; the answer may change at any time, so that secrets can be rotated.
type Apps interface {
	// WebhookSecrets returns what an app's webhooks may be signed with, the
	// current first and then those in overlap; none if there is no such app.
	WebhookSecrets(ctx context.Context, connector string, which webhooks.AppSecret) ([]secret.Text, error)
	// VerifyTokens returns the verify tokens of an app's handshakes.
	VerifyTokens(ctx context.Context, connector string) ([]secret.Text, error)
}

// EnvApps reads the apps from the environment, with the connector's key in
// capitals and _ for -:
//
//	HAWSER_APP_<CONNECTOR>_WEBHOOK_SECRET, …_WEBHOOK_SECRET_PREVIOUS
//	HAWSER_APP_<CONNECTOR>_CLIENT_SECRET, …_CLIENT_SECRET_PREVIOUS  several: separated by blanks
//	HAWSER_APP_<CONNECTOR>_VERIFY_TOKEN
type EnvApps func(name string) string

// WebhookSecrets implements [Apps].
func (env EnvApps) WebhookSecrets(_ context.Context, connector string, which webhooks.AppSecret) ([]secret.Text, error) {
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

// VerifyTokens implements [Apps].
func (env EnvApps) VerifyTokens(_ context.Context, connector string) ([]secret.Text, error) {
	return env.read(connector, "_VERIFY_TOKEN"), nil
}

func (env EnvApps) read(connector string, names ...string) []secret.Text {
	var found []secret.Text
	for _, name := range names {
		if v := env("HAWSER_APP_" + strings.ToUpper(strings.ReplaceAll(connector, "-", "_")) + name); v != "" {
			found = append(found, secret.New(v))
		}
	}
	return found
}

// secrets are what deliveries to the connection may be signed with: its own, the
// present one and those it has replaced lately, and those of the operator's app
// where the provider signs with the app's.
func (i *Ingress) secrets(ctx context.Context, d *delivery) ([]secret.Text, error) {
	own, err := i.Store.SigningSecrets(d.conn, d.webhook.SecretField)
	if err != nil {
		i.occurred(ctx, d.conn.About(), "webhook", connectors.AsError(err))
	}
	if err != nil || d.webhook.AppSecret == "" {
		return own, err
	}
	def, err := i.Definitions.Get(d.conn.Connector)
	if err != nil {
		return own, err
	}
	app, err := i.appSecrets(ctx, def)
	return append(own, app...), err
}

// appSecrets are what the operator's app signs with. Where that is its OAuth
// client secret, it is the one that tokens are asked for with: see [connection.Apps].
func (i *Ingress) appSecrets(ctx context.Context, def *connectors.Connector) ([]secret.Text, error) {
	all, err := i.opts.Apps.WebhookSecrets(ctx, def.Key, def.Webhook.AppSecret)
	if err != nil || def.Webhook.AppSecret != webhooks.AppClientSecret {
		return all, err
	}
	app, _, err := i.Apps.Get(ctx, def)
	if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorOAuthNotConfigured}) {
		return all, nil
	}
	return append(all, app.ClientSecrets...), err
}

// tokens are the verify tokens of the connection's handshakes.
func (i *Ingress) tokens(ctx context.Context, d *delivery) ([]secret.Text, error) {
	own, err := i.configured(d, d.webhook.TokenField)
	if err != nil || d.webhook.TokenField == "" {
		return own, err
	}
	app, err := i.opts.Apps.VerifyTokens(ctx, d.conn.Connector)
	return append(own, app...), err
}
