package app

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
)

// configs returns the config of every stream and bucket.
func configs(t *testing.T, js jetstream.JetStream) map[string]jetstream.StreamConfig {
	t.Helper()
	all := map[string]jetstream.StreamConfig{}
	list := js.ListStreams(testenv.Bounded(t))
	for info := range list.Info() {
		all[info.Config.Name] = info.Config
	}
	testenv.Must(t, list.Err())
	return all
}

func createToken(t *testing.T, env *testenv.Env, args ...string) (stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	p := program{stdout: &out, stderr: &errs}
	args = append([]string{"token", "create", "x", "--nats-url", env.URL(), "--nats-creds", env.Server().CredsPath()}, args...)
	if status := p.run(testenv.Bounded(t), "hawser", &hawserCommands{}, args); status != 0 {
		t.Fatalf("hawser %v: status %d: %s", args, status, &errs)
	}
	if !strings.HasPrefix(out.String(), "hwk_") && len(strings.TrimSpace(out.String())) < 32 {
		t.Errorf("printed %q, want a token", &out)
	}
	return errs.String()
}

// A command opens what it needs, and takes nothing away.
func TestTokenCreateChangesNoStreamAndNoBucket(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, nil)
	before := configs(t, n.Bus.JetStream())
	if before["KV_hawser-flows"].MaxAge == 0 {
		t.Fatal("the bucket of flows has no lifetime")
	}
	createToken(t, n.Env)
	if diff := cmp.Diff(before, configs(t, n.Bus.JetStream())); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

func TestTokenCreateOpensTheBucketOfTokensOnly(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	createToken(t, env)
	js := testenv.QueueOn(t, env.Conn(t)).Bus.JetStream()
	if all := configs(t, js); len(all) != 1 || all["KV_hawser-tokens"].Name == "" {
		t.Errorf("got %v, want the bucket of tokens", all)
	}
}

func TestSizesAreChecked(t *testing.T) {
	t.Parallel()
	for _, bad := range []sizes{
		{WebhooksMaxBytes: "many"}, {ResultsMaxBytes: "1KiB"}, {EventsMaxBytes: "-1"}, {EvidenceMaxBytes: "99999999999GiB"}, {EventsMaxAge: -1},
	} {
		s := shared{Prefix: "hawser", Scopes: "user", sizes: bad}
		if err := s.check(); err == nil || !strings.Contains(err.Error(), "-max-") {
			t.Errorf("%+v: got %v, want an error that names the setting", bad, err)
		}
	}
	s := shared{Prefix: "hawser", Scopes: "user", sizes: sizes{WebhooksMaxBytes: "512MiB"}}
	testenv.Must(t, s.check())
	if got := s.topology().WebhooksMaxBytes; got != 512<<20 {
		t.Errorf("got %d bytes", got)
	}
}

func TestTokensAreMadeListedAndRevoked(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, nil)
	front := n.StartIngress(t, nil)
	data := dataFolder(t.TempDir())
	testenv.Must(t, writeSecretFile(data.path("admin.token"), front.Token))
	hawser := func(args ...string) (status int, out, errs string) {
		var stdout, stderr bytes.Buffer
		p := program{stdout: &stdout, stderr: &stderr}
		status = p.run(testenv.Bounded(t), "hawser", &hawserCommands{}, append(append([]string{"token"}, args...), "--url", front.URL, "--data", string(data)))
		return status, stdout.String(), stderr.String()
	}
	status, out, errs := hawser("create", "ci", "--role", "read", "--scope", "organization", "--identity", "bob", "--expires", "90d")
	if status != 0 || !strings.HasPrefix(out, "hwt_") || strings.TrimSpace(out) != out[:len(out)-1] {
		t.Fatalf("create: %d %q %s", status, out, errs)
	}
	if status, out, errs := hawser("list"); status != 0 || !strings.Contains(out, "ci") || !strings.Contains(out, "organization/bob") {
		t.Errorf("list: %d %s %s", status, out, errs)
	}
	if status, out, errs := hawser("list", "--output", "json"); status != 0 || !strings.Contains(out, `"role": "read"`) {
		t.Errorf("list as JSON: %d %s %s", status, out, errs)
	}
	if status, _, errs := hawser("create", "ci"); status == 0 || !strings.Contains(errs, "name") {
		t.Errorf("the name again: %d %s", status, errs)
	}
	if status, _, errs := hawser("revoke", "ci"); status != 0 {
		t.Errorf("revoke: %d %s", status, errs)
	}
	if status, _, errs := hawser("revoke", "ci"); status == 0 || !strings.Contains(errs, "no API token with this name") {
		t.Errorf("revoke again: %d %s", status, errs)
	}
}

func TestTheAuditTrailIsListedAndVerified(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, nil)
	front := n.StartIngress(t, nil)
	data := dataFolder(t.TempDir())
	testenv.Must(t, writeSecretFile(data.path("admin.token"), front.Token))
	hawser := func(args ...string) (status int, out string) {
		var stdout, stderr bytes.Buffer
		p := program{stdout: &stdout, stderr: &stderr}
		status = p.run(testenv.Bounded(t), "hawser", &hawserCommands{}, append(args, "--url", front.URL, "--data", string(data)))
		return status, stdout.String() + stderr.String()
	}
	for _, name := range []string{"a", "b"} {
		if status, out := hawser("token", "create", name); status != 0 {
			t.Fatalf("%d %s", status, out)
		}
	}
	if status, out := hawser("audit", "list", "--operation", "tokens.create"); status != 0 || strings.Count(out, "tokens.create") != 4 {
		t.Errorf("list: %d %s", status, out)
	}
	if status, out := hawser("audit", "verify"); status != 0 || !strings.Contains(out, "4 entries, from 1 to 4") {
		t.Errorf("verify: %d %s", status, out)
	}
	status, exported := hawser("audit", "export")
	file := data.path("export.jsonl")
	testenv.Must(t, os.WriteFile(file, []byte(exported), 0o600))
	if again, out := hawser("audit", "verify", file); status != 0 || again != 0 {
		t.Errorf("verify the export: %d %d %s", status, again, out)
	}
	testenv.Must(t, n.Queue.Streams.Remove(t.Context(), queue.Audit, 2))
	if status, out := hawser("audit", "verify"); status != 1 || !strings.Contains(out, "what was between is removed") {
		t.Errorf("an entry is gone: %d %s", status, out)
	}
}
