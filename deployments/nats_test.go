package deployments_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/testenv"
)

// TestASystemOfOnesOwn runs the system that `hawser nats init` makes: each role works with
// its own credentials, and none may do more; tenants are added and revoked while it runs.
func TestASystemOfOnesOwn(t *testing.T) {
	t.Parallel()
	s := startSystem(t)
	t.Run("the demo story plays", func(t *testing.T) {
		admin, err := os.ReadFile(s.creds("admin"))
		testenv.Must(t, err)
		testenv.Must(t, os.WriteFile(filepath.Join(s.dir, "nats.creds"), admin, 0o600))
		t.Log(hawser(t, "demo", "--url", s.ingress, "--nats-url", s.urls, "--provider", s.provider, "--data", s.dir))
	})
	t.Run("an operator repairs", func(t *testing.T) { repair(t, s) })
	t.Run("the refresher renews a token in time", func(t *testing.T) { renew(t, s) })
	t.Run("streams have three copies", func(t *testing.T) {
		js, err := s.connect(t, s.creds("admin")).JetStream()
		testenv.Must(t, err)
		for stream := range js.Streams() {
			if stream.Config.Replicas != 3 {
				t.Errorf("%s has %d copies", stream.Config.Name, stream.Config.Replicas)
			}
		}
	})
	for role, process := range s.roles {
		if strings.Contains(strings.ToLower(process.text()), "permissions violation") {
			t.Errorf("the %s was refused what it needs:\n%s", role, process.text())
		}
	}
	t.Run("a role may do nothing else", func(t *testing.T) { overstep(t, s) })
	t.Run("a tenant comes and goes", func(t *testing.T) { admit(t, s) })
	t.Run("an upgrade changes the permissions", func(t *testing.T) {
		hawser(t, "nats", "push", "--data", s.dir, "--nats-url", s.urls, "--prefix", "renamed")
		try := newAttempt(t, s.cluster, s.creds("executor"))
		try.publish(t, "hawser.probe.x")
		before := try.refused.Load()
		testenv.Must(t, try.nc.Publish("renamed.probe.x", nil))
		testenv.Must(t, try.nc.FlushTimeout(testenv.MaxWait))
		if try.refused.Load() > before {
			t.Error("the new permissions are not in force")
		}
	})
}

// api calls the management API and decodes the answer.
func (s *system) api(t *testing.T, method, path, body string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(testenv.Bounded(t), method, s.ingress+"/api/v1"+path, strings.NewReader(body))
	testenv.Must(t, err)
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := http.DefaultClient.Do(req)
	testenv.Must(t, err)
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	testenv.Must(t, err)
	if resp.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, answer)
	}
	if into != nil {
		testenv.Must(t, json.Unmarshal(answer, into))
	}
}

const signingSecret = "deployments-signing-secret"

// webhook sends a signed webhook, and returns the status.
func webhook(t *testing.T, to, key, body string) int {
	t.Helper()
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(at + "." + body))
	req, err := http.NewRequestWithContext(testenv.Bounded(t), http.MethodPost, to, strings.NewReader(body))
	testenv.Must(t, err)
	for name, value := range map[string]string{
		"X-Demo-Signature": "sha256=" + hex.EncodeToString(mac.Sum(nil)), "X-Demo-Timestamp": at, "X-Demo-Event": "message.created", "X-Demo-Delivery": at + strconv.Itoa(len(body)),
	} {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	testenv.Must(t, err)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// repair uses what a running system needs rarely: a later attempt, a dead letter, quarantine,
// a body that is larger than a message, a replay, the feed of events.
func repair(t *testing.T, s *system) {
	const connection = "/scopes/organization/org_1/connections/demo-key"
	var c struct {
		WebhookURL string `json:"webhook_url"`
	}
	s.api(t, "PUT", connection, `{"config":{"apiKey":"demo_deployments","webhookSecret":"`+signingSecret+`"}}`, &c)
	s.api(t, "POST", connection+"/actions/fail", `{"status":503,"times":1}`, nil)

	admin := s.connect(t, s.creds("admin"))
	request := &nats.Msg{Subject: "hawser.action.organization.org_1.demo-key.fail", Data: []byte(`{"status":503}`), Header: nats.Header{
		"Ce-Specversion": {"1.0"}, "Ce-Type": {"hawser.action.requested"}, "Ce-Source": {"/test"}, "Ce-Id": {"dies"},
		"Ce-Hawserdeadline": {time.Now().Add(3 * time.Second).UTC().Format(time.RFC3339)},
	}}
	_, err := admin.RequestMsg(request, testenv.MaxWait)
	testenv.Must(t, err)
	type items struct {
		Items []struct{ ID string } `json:"items"`
	}
	var dead items
	testenv.Eventually(t, "the request is a dead letter", func() bool {
		s.api(t, "GET", "/dead-letters", "", &dead)
		return len(dead.Items) > 0
	})
	s.api(t, "POST", "/dead-letters/"+dead.Items[0].ID+"/redrive", "", nil)

	if status := webhook(t, c.WebhookURL, signingSecret, `{"text":"`+strings.Repeat("x", 990<<10)+`"}`); status != http.StatusAccepted {
		t.Errorf("a large webhook got %d", status)
	}
	if status := webhook(t, c.WebhookURL, "wrong", `{"text":"forged"}`); status != http.StatusUnauthorized {
		t.Errorf("a forged webhook got %d", status)
	}
	s.api(t, "PATCH", connection, `{"enabled":false}`, nil)
	if status := webhook(t, c.WebhookURL, signingSecret, `{"text":"quarantined"}`); status/100 != 2 {
		t.Errorf("a webhook of a disabled connection got %d", status)
	}
	s.api(t, "PATCH", connection, `{"enabled":true}`, nil)
	var quarantined items
	s.api(t, "GET", "/quarantine?reason=disabled", "", &quarantined)
	if len(quarantined.Items) == 0 {
		t.Fatal("nothing is in quarantine")
	}
	s.api(t, "POST", "/quarantine/"+quarantined.Items[0].ID+"/redrive", "", nil)
	feed(t, s)
	s.api(t, "POST", connection+"/rotate-webhook", "", nil)
	s.api(t, "DELETE", connection, "", nil)
}

// feed reads the first of the tenant's stored events.
func feed(t *testing.T, s *system) {
	t.Helper()
	req, err := http.NewRequestWithContext(testenv.Bounded(t), http.MethodGet, s.ingress+"/api/v1/events?scope=organization&identity=org_1&since=2020-01-01T00:00:00Z", nil)
	testenv.Must(t, err)
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := http.DefaultClient.Do(req)
	testenv.Must(t, err)
	defer func() { _ = resp.Body.Close() }()
	first := make([]byte, 512)
	n, err := io.ReadAtLeast(resp.Body, first, 16)
	if err != nil || !bytes.Contains(first[:n], []byte("id:")) {
		t.Errorf("the feed began with %q, %v", first[:n], err)
	}
}

// renew connects by OAuth, and waits until the refresher has renewed the token.
func renew(t *testing.T, s *system) {
	admin := s.connect(t, s.creds("admin"))
	refreshed, err := admin.SubscribeSync("hawser.event.organization.org_2.demo-oauth.oauth.refreshed")
	testenv.Must(t, err)
	var started struct {
		URL string `json:"authorization_url"`
	}
	s.api(t, "PUT", "/scopes/organization/org_2/connections/demo-oauth", `{}`, &started)
	browser := testenv.NewBrowser(t)
	_, provider, _ := browser.Get(started.URL)
	_, callback, _ := browser.Post(provider, url.Values{"decision": {"approve"}})
	if status, _, body := browser.Get(callback); status != http.StatusOK {
		t.Fatalf("the callback got %d %s", status, body)
	}
	msg, err := refreshed.NextMsg(tokenTTL + testenv.MaxWait)
	testenv.Must(t, err)
	if source := msg.Header.Get("ce-source"); source != "/hawser/refresher" {
		t.Errorf("%s renewed the token", source)
	}
}

// overstep tries what the credentials must not permit.
func overstep(t *testing.T, s *system) {
	everybody := []string{
		"$JS.API.STREAM.DELETE.HAWSER_ACTIONS", "$JS.API.STREAM.PURGE.HAWSER_WEBHOOKS", "$JS.API.STREAM.DELETE.KV_hawser-connections",
		"$JS.API.CONSUMER.DELETE.HAWSER_ACTIONS.action-demo-key", "$JS.API.CONSUMER.PAUSE.HAWSER_ACTIONS.action-demo-key", "$JS.API.STREAM.SNAPSHOT.HAWSER_WEBHOOKS",
		"$JS.API.STREAM.LEADER.STEPDOWN.HAWSER_ACTIONS", "$JS.API.ACCOUNT.PURGE.x", "$SYS.REQ.SERVER.PING", "hawser.x", "other.subject",
	}
	for role, forbidden := range map[string][]string{
		"ingress": {"hawser.result.organization.org_1.demo-key.fail.x", "hawser.dead.action.x", "$KV.hawser-claims.x", "$JS.ACK.HAWSER_ACTIONS.x",
			"$JS.API.CONSUMER.MSG.NEXT.HAWSER_ACTIONS.action-demo-key", "$JS.API.STREAM.MSG.DELETE.HAWSER_RESULTS", "$JS.API.STREAM.MSG.DELETE.HAWSER_WEBHOOKS"},
		"executor": {"hawser.webhook.organization.org_1.demo-key.x.y", "hawser.api.connections.list", "$KV.hawser-apps.x", "$KV.hawser-tokens.x", "$KV.hawser-keys.x", "$KV.hawser-settings.x",
			"$JS.API.STREAM.MSG.GET.KV_hawser-flows", "$JS.API.DIRECT.GET.KV_hawser-sessions", "$JS.API.STREAM.CREATE.X", "$JS.API.STREAM.UPDATE.HAWSER_ACTIONS", "$JS.API.STREAM.MSG.DELETE.HAWSER_RESULTS"},
		"refresher": {"hawser.action.organization.org_1.demo-key.fail", "hawser.result.x", "hawser.webhook.x", "hawser.parked.action.x", "$KV.hawser-apps.x", "$KV.hawser-tokens.x",
			"$JS.API.STREAM.CREATE.X", "$JS.API.CONSUMER.CREATE.HAWSER_ACTIONS.x", "$JS.API.STREAM.MSG.GET.HAWSER_RESULTS", "$JS.API.DIRECT.GET.HAWSER_WEBHOOKS", "$JS.ACK.HAWSER_ACTIONS.x"},
		"system": {"hawser.action.organization.org_1.demo-key.fail", "$JS.API.INFO"},
	} {
		try := newAttempt(t, s.cluster, s.creds(role))
		for _, subject := range append(forbidden, everybody...) {
			try.publish(t, subject)
		}
		for _, subject := range []string{">", "hawser.>", "_INBOX.>", "_INBOX.admin.>", "$KV.>", "$SYS.>", "$JS.>", "hawser.action.>", "hawser.result.>"} {
			try.subscribe(t, subject)
		}
	}
}

// attempt is a connection that counts what the server refuses.
type attempt struct {
	nc      *nats.Conn
	creds   string
	refused atomic.Int64
}

func newAttempt(t *testing.T, c *cluster, creds string) *attempt {
	a := &attempt{creds: filepath.Base(creds)}
	a.nc = c.connect(t, creds, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			a.refused.Add(1)
		}
	}))
	return a
}

func (a *attempt) publish(t *testing.T, subject string) {
	t.Helper()
	a.try(t, "publish "+subject, func() error { return a.nc.Publish(subject, []byte("{}")) })
}

func (a *attempt) subscribe(t *testing.T, subject string) {
	t.Helper()
	a.try(t, "subscribe "+subject, func() error { _, err := a.nc.SubscribeSync(subject); return err })
}

func (a *attempt) try(t *testing.T, what string, do func() error) {
	t.Helper()
	before := a.refused.Load()
	testenv.Must(t, do())
	testenv.Must(t, a.nc.FlushTimeout(testenv.MaxWait))
	for range 100 { // the refusal comes before the flush's reply, its handler runs beside it
		if a.refused.Load() > before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%s: %s was not refused", a.creds, what)
}

// admit gives a tenant credentials and takes them away, both while the servers run.
func admit(t *testing.T, s *system) {
	s.api(t, "PUT", "/scopes/organization/mine/connections/demo-key", `{"config":{"apiKey":"demo_mine"}}`, nil)
	file := filepath.Join(t.TempDir(), "mine.creds")
	creds := hawser(t, "creds", "tenant", "organization", "mine", "--data", s.dir, "--nats-url", s.urls)
	testenv.Must(t, os.WriteFile(file, []byte(creds), 0o600))
	ended := make(chan struct{})
	tenant := s.connect(t, file, nats.ClosedHandler(func(*nats.Conn) { close(ended) }), nats.MaxReconnects(3), nats.ReconnectWait(10*time.Millisecond))
	results, err := tenant.SubscribeSync("hawser.result.organization.mine.>")
	testenv.Must(t, err)
	ack, err := tenant.Request("hawser.action.organization.mine.demo-key.postMessage", []byte(`{"text":"mine"}`), testenv.MaxWait)
	if err != nil || !bytes.Contains(ack.Data, []byte("HAWSER_ACTIONS")) {
		t.Fatalf("the tenant's request got %v, %v", ack, err)
	}
	if msg, err := results.NextMsg(testenv.MaxWait); err != nil || !bytes.Contains(msg.Data, []byte(`"text":"mine"`)) {
		t.Errorf("the tenant's result is %v, %v", msg, err)
	}
	try := newAttempt(t, s.cluster, file)
	try.publish(t, "hawser.action.organization.theirs.demo-key.postMessage")
	try.publish(t, "$KV.hawser-connections.organization.mine.demo-key.default")
	try.publish(t, "$JS.API.INFO")
	try.subscribe(t, "hawser.result.organization.theirs.>")
	try.subscribe(t, "hawser.>")
	try.nc.Close()

	hawser(t, "creds", "revoke", "organization", "mine", "--data", s.dir, "--nats-url", s.urls)
	select {
	case <-ended:
	case <-time.After(testenv.MaxWait):
		t.Error("a revoked tenant is still connected")
	}
	if nc, err := nats.Connect(s.urls, nats.UserCredentials(file)); err == nil {
		nc.Close()
		t.Error("a revoked tenant connects again")
	}
	more := filepath.Join(t.TempDir(), "more.creds")
	testenv.Must(t, os.WriteFile(more, []byte(hawser(t, "creds", "role", "executor", "--data", s.dir)), 0o600))
	newAttempt(t, s.cluster, more).publish(t, "hawser.webhook.x")
}

func TestInitReplacesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hawser(t, "nats", "init", dir)
	before, err := os.ReadFile(filepath.Join(dir, "nats", "keys.json"))
	testenv.Must(t, err)
	for _, args := range [][]string{{"nats", "init", dir}, {"up", "--data", dir, "--http", "127.0.0.1:0", "--nats", "off"}} {
		if out, err := program("hawser", args...).CombinedOutput(); err == nil {
			t.Errorf("hawser %s succeeded: %s", args[0], out)
		}
	}
	after, err := os.ReadFile(filepath.Join(dir, "nats", "keys.json"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the keys have changed, or are gone: %v", err)
	}
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm() != 0o600 {
			err = fmt.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	testenv.Must(t, err)
}
