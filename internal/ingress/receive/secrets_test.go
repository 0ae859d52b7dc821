package receive_test

import (
	"slices"
	"testing"

	"github.com/hawser-io/hawser/internal/ingress/receive"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// A webhook secret may hold blanks, as the one in a provider's own example does;
// client secrets are separated by them, as where tokens are asked for.
func TestSecretsOfAppsInTheEnvironment(t *testing.T) {
	t.Parallel()
	env := receive.AppSecrets(func(name string) string {
		return map[string]string{
			"HAWSER_APP_MY_APP_WEBHOOK_SECRET": "It's a Secret to Everybody", "HAWSER_APP_MY_APP_WEBHOOK_SECRET_PREVIOUS": "old",
			"HAWSER_APP_MY_APP_CLIENT_SECRET": "new  second", "HAWSER_APP_MY_APP_CLIENT_SECRET_PREVIOUS": "third",
		}[name]
	})
	for which, want := range map[webhooks.AppSecret][]string{
		webhooks.AppWebhookSecret: {"It's a Secret to Everybody", "old"}, webhooks.AppClientSecret: {"new", "second", "third"},
	} {
		var got []string
		for _, s := range env.Signing("my-app", which) {
			got = append(got, s.Reveal())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", which, got, want)
		}
	}
	if all := env.Signing("other", webhooks.AppClientSecret); len(all) > 0 {
		t.Errorf("an app that does not exist has %d secrets, want none", len(all))
	}
}
