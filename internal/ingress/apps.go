package ingress

import (
	"context"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Apps know the secrets of the operator's apps at providers. Safe for concurrent
// use; the answer may change at any time, so that secrets can be rotated.
type Apps interface {
	// WebhookSecrets returns what an app's webhooks may be signed with, the
	// current first and then those in overlap; none if there is no such app.
	WebhookSecrets(ctx context.Context, connector string, which connectors.AppSecret) ([]secret.Text, error)
	// VerifyTokens returns the verify tokens of an app's handshakes.
	VerifyTokens(ctx context.Context, connector string) ([]secret.Text, error)
}

// EnvApps reads the apps from the environment, with the connector's key in
// capitals and _ for -:
//
//	HAWSER_APP_<CONNECTOR>_WEBHOOK_SECRET, …_WEBHOOK_SECRET_PREVIOUS
//	HAWSER_APP_<CONNECTOR>_CLIENT_SECRET, …_CLIENT_SECRET_PREVIOUS
//	HAWSER_APP_<CONNECTOR>_VERIFY_TOKEN
type EnvApps func(name string) string

// WebhookSecrets implements [Apps].
func (env EnvApps) WebhookSecrets(_ context.Context, connector string, which connectors.AppSecret) ([]secret.Text, error) {
	name := "_WEBHOOK_SECRET"
	if which == connectors.AppClientSecret {
		name = "_CLIENT_SECRET"
	}
	return env.read(connector, name, name+"_PREVIOUS"), nil
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
// present one and those it has replaced lately, and
// those of the operator's app where the provider signs with the app's.
func (i *Ingress) secrets(ctx context.Context, d *delivery) ([]secret.Text, error) {
	own, err := i.Store.SigningSecrets(d.conn, d.webhook.SecretField)
	if err != nil {
		i.occurred(ctx, d.conn.About(), "webhook", connectors.AsError(err))
	}
	if err != nil || d.webhook.AppSecret == "" {
		return own, err
	}
	app, err := i.opts.Apps.WebhookSecrets(ctx, d.conn.Connector, d.webhook.AppSecret)
	return append(own, app...), err
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
