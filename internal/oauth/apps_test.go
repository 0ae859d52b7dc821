package oauth_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// A stored app takes precedence over one from the environment. A family's app serves its
// connectors.
func TestAppsComeFromTheStoreOrTheEnvironment(t *testing.T) {
	t.Parallel()
	in := install(t, nil)
	environment := map[string]string{
		"HAWSER_APP_SUITE_CLIENT_ID": "env-id", "HAWSER_APP_SUITE_CLIENT_SECRET": "new old", "HAWSER_APP_SUITE_SCOPES": "a b",
		"HAWSER_APP_TWO_WORDS_CLIENT_ID": "two-words",
	}
	apps := records.NewApps(in.front.Buckets, in.front.Store.Sealer(), func(name string) string { return environment[name] })
	get := func(key, family string) (id, from string, secrets []string) {
		t.Helper()
		def := oauthConnector(key, "http://127.0.0.1", func(o *connectors.OAuth2) { o.Family = family })
		app, name, err := apps.Get(t.Context(), &def)
		if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorOAuthNotConfigured}) {
			return "", "", nil
		}
		must(t, err)
		for _, s := range app.ClientSecrets {
			secrets = append(secrets, s.Reveal())
		}
		return app.ClientID, name, secrets
	}
	expect := func(when, key, family, id, from string, secrets ...string) {
		t.Helper()
		gotID, gotFrom, gotSecrets := get(key, family)
		if diff := cmp.Diff(secrets, gotSecrets); diff != "" || gotID != id || gotFrom != from {
			t.Errorf("%s: got %q of %q, want %q of %q; secrets (-want +got):\n%s", when, gotID, gotFrom, id, from, diff)
		}
	}
	expect("from the environment, by the family", "issues", "suite", "env-id", "suite", "new", "old")
	expect("with a dash in its name", "two-words", "", "two-words", "two-words")
	expect("not set", "nobody", "", "", "")
	in.setApp("suite", records.App{ClientID: "stored-id", ClientSecrets: []secret.Text{secret.New("s")}})
	expect("stored beats the environment", "issues", "suite", "stored-id", "suite", "s")
	in.setApp("issues", records.App{ClientID: "own-id"})
	expect("its own beats the family's", "issues", "suite", "own-id", "issues")
	must(t, in.front.Apps.Delete(t.Context(), "suite"))
	must(t, in.front.Apps.Delete(t.Context(), "issues"))
	expect("after it was deleted", "issues", "suite", "env-id", "suite", "new", "old")
}
