package app

import (
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/oauth/flow"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/secret"
)

// What has to be equal in all roles is what an ingress was started with. A role that is
// given nothing takes it; one that is given another value does not start, and says of what.
func TestRolesAgreeOnTheSettingsOfTheInstallation(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	keyset := newKeysetFile(t)
	common := []string{"--nats-url", env.URL(), "--nats-creds", env.Server().CredsPath(), "--keyset", keyset, "--http", "127.0.0.1:0"}
	with := func(more ...string) []string { return append(append([]string(nil), common...), more...) }
	_, stop := startRole(t, "ingress", with("--base-url", "https://hooks.example.com", "--base-path", "/x", "--scopes", "team,user", "--return-urls", "https://app.example.com/")...)
	defer stop()
	for _, role := range []string{"executor", "refresher"} {
		for flag, value := range map[string]string{
			"--base-url": "https://other.example.com", "--base-path": "/api/v1", "--scopes": "organization", "--return-urls": "https://other.example.com/",
		} {
			var out testenv.Log
			status := Run(t.Context(), role, with(flag, value), &out)
			if text := out.String(); status == 0 || !strings.Contains(text, flag) || !strings.Contains(text, value) || !strings.Contains(text, "hawser-settings") {
				t.Errorf("%s %s %s: exit %d, %s; want a refusal that names it", role, flag, value, status, text)
			}
		}
	}
	out, stopEqual := startRole(t, "refresher", with("--base-url", "https://hooks.example.com/", "--scopes", "team,user", "--base-path", "x/")...)
	if status := stopEqual(); status != 0 {
		t.Errorf("a refresher that is given the same: exit %d, %s", status, out)
	}
	_, stopUntold := startRole(t, "executor", common...)
	if status := stopUntold(); status != 0 {
		t.Errorf("an executor that is given nothing: exit %d", status)
	}
	// A second ingress that is given nothing serves as the first does, and changes nothing.
	_, stopSecond := startRole(t, "ingress", common...)
	defer stopSecond()
	q, err := queue.New(env.Conn(t), nil)
	testenv.Must(t, err)
	buckets, err := openBuckets(t.Context(), q.Bus, bucketOptions{})
	testenv.Must(t, err)
	stored, err := records.ReadSettings(t.Context(), buckets)
	testenv.Must(t, err)
	stored.UpdatedAt = time.Time{}
	want := records.Settings{Prefix: "hawser", Scopes: "team,user", BaseURL: "https://hooks.example.com", BasePath: "/x", ReturnURLs: []string{"https://app.example.com/"}}
	if stored.Differences(want) != nil {
		t.Errorf("got %+v, want %+v", stored, want)
	}
	// A link that a refresher publishes leads to the ingress.
	n := &node{buckets: buckets, links: &flow.Links{BaseURL: "http://127.0.0.1:1/api/v1", Key: secret.New("k"), Now: time.Now}}
	link := n.reconnectURL(&records.Connection{Scope: "team", Identity: "a", Connector: "c"})
	if want := "https://hooks.example.com/x/connectors/c/oauth/reconnect/"; !strings.HasPrefix(link, want) {
		t.Errorf("got the link %s, want one below %s", link, want)
	}
}

// An ingress changes the settings of the installation, and says so.
func TestAnIngressChangesTheSettings(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	common := []string{"--nats-url", env.URL(), "--nats-creds", env.Server().CredsPath(), "--keyset", newKeysetFile(t), "--http", "127.0.0.1:0"}
	_, stop := startRole(t, "ingress", append(common, "--base-url", "https://a.example.com")...)
	stop()
	out, stop := startRole(t, "ingress", append(common, "--base-url", "https://b.example.com")...)
	stop()
	if text := out.String(); !strings.Contains(text, "https://a.example.com") || !strings.Contains(text, "https://b.example.com") {
		t.Errorf("got %s, want a line with both URLs", text)
	}
	var refused testenv.Log
	if status := Run(t.Context(), "executor", append(common, "--base-url", "https://a.example.com"), &refused); status == 0 {
		t.Errorf("an executor that is given the old URL started: %s", &refused)
	}
}
