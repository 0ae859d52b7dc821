package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// cluster is a system of separate programs: `hawser up --demo` runs the NATS
// server, an ingress and the provider; further roles join it.
type cluster struct{ *hawser }

func (c cluster) join(program string, args ...string) *process {
	c.t.Helper()
	return start(c.t, program, append([]string{
		"--demo", "--http", "127.0.0.1:0", "--nats-url", c.nats, "--nats-creds", filepath.Join(c.data, "nats.creds"), "--keyset", filepath.Join(c.data, "keyset.json"),
	}, args...)...)
}

func TestExecutorsShareTheWorkWithoutConfiguration(t *testing.T) {
	t.Parallel()
	f := cluster{up(t)}
	f.connectDemo("organization/org_1")
	executors := []*process{f.join("executor"), f.join("executor")}
	refresher := f.join("refresher")
	nc := f.connect()
	results := listen(t, nc, "hawser.result.organization.org_1.>")
	const requests = 300
	for i := range requests {
		// Slow enough that two executors with all their places taken leave some over.
		if err := nc.Publish("hawser.action.organization.org_1.demo-key.slow", fmt.Appendf(nil, `{"ms":%d}`, 300+i%2)); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for range requests {
		seen[results.next().Subject] = true
	}
	if len(seen) != requests {
		t.Errorf("%d results for %d requests", len(seen), requests)
	}
	for i, e := range executors {
		a, err := send(t.Context(), "GET", e.http+"/metrics", "")
		if err != nil || !strings.Contains(string(a.body), `hawser_actions_total{connector="demo-key",outcome="completed"}`) {
			t.Errorf("executor %d has run nothing: %v", i, err)
		}
	}
	for _, p := range append(executors, refresher) {
		if a, err := send(t.Context(), "GET", p.http+"/readyz", ""); err != nil || a.status != http.StatusOK {
			t.Errorf("readyz: %d %s %v", a.status, a.body, err)
		}
	}
}

// TestAnExecutorKilledInTheMiddleOfACall: the provider is called once for an action
// that may not be repeated, and the result is CONNECTOR_ACTION_UNCERTAIN.
func TestAnExecutorKilledInTheMiddleOfACall(t *testing.T) {
	t.Parallel()
	h := up(t)
	h.connectDemo("organization/org_1")
	if a, err := send(t.Context(), "POST", h.demo+"/_fault", `{"endpoint":"api","mode":"hang","times":1}`); err != nil || a.status != http.StatusOK {
		t.Fatalf("fault: %d %s %v", a.status, a.body, err)
	}
	nc := h.connect()
	started := listen(t, nc, "hawser.event.organization.org_1.demo-key.action.started")
	if err := nc.Publish("hawser.action.organization.org_1.demo-key.charge", []byte(`{"amount":5}`)); err != nil {
		t.Fatal(err)
	}
	started.next()
	h.kill()
	h = h.again()
	results := listen(t, h.connect(), "hawser.result.organization.org_1.demo-key.charge.>")
	// The dead executor's delivery comes back after the ack wait of 30 s.
	msg, err := results.sub.NextMsg(60 * time.Second)
	if err != nil || !strings.Contains(string(msg.Data), "CONNECTOR_ACTION_UNCERTAIN") {
		t.Fatalf("got %v, %v, want CONNECTOR_ACTION_UNCERTAIN", msg, err)
	}
	var stats struct{ Charges int }
	a, err := send(t.Context(), "GET", h.demo+"/_stats", "")
	if err != nil {
		t.Fatal(err)
	}
	if a.decode(t, &stats); stats.Charges > 1 {
		t.Errorf("the provider was called %d times, want at most once", stats.Charges)
	}
}

// TestNATSStopped: an ingress without its server answers 503 within two seconds,
// and works again when the server is back, without a restart.
func TestNATSStopped(t *testing.T) {
	t.Parallel()
	h := up(t)
	f := cluster{h}
	c := h.connectDemo("organization/org_1")
	ingress := f.join("ingress", "--base-url", h.http)
	url := ingress.http + strings.TrimPrefix(c.WebhookURL, h.http)
	post := func(delivery string) answer {
		body := `{"n":"` + delivery + `"}`
		a, err := send(t.Context(), "POST", url, body, append(sign(body, signingSecret, time.Now()), "X-Demo-Delivery", delivery)...)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := post("before"); a.status != http.StatusAccepted {
		t.Fatalf("before: %d %s", a.status, a.body)
	}
	h.kill()
	began := time.Now()
	if a := post("while"); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("while stopped: %d %v %s, want 503 with Retry-After", a.status, a.header, a.body)
	}
	if took := time.Since(began); took > 4*time.Second { // 2 s, and what a loaded machine adds
		t.Errorf("the 503 took %v", took)
	}
	if a, err := send(t.Context(), "GET", ingress.http+"/readyz", ""); err != nil || a.status != http.StatusServiceUnavailable {
		t.Errorf("readyz while stopped: %d %v, want 503", a.status, err)
	}
	h = h.again()
	deadline := time.Now().Add(30 * time.Second)
	for a := post("while"); a.status/100 != 2; a = post("while") {
		if time.Now().After(deadline) {
			t.Fatalf("30 s after the server is back: %d %s", a.status, a.body)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if n := stored(t, h.connect(), "HAWSER_WEBHOOKS", "hawser.webhook.>"); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

// TestNATSPaused: a server that is stopped with SIGSTOP answers nothing; nobody
// waits longer than two seconds for it.
func TestNATSPaused(t *testing.T) {
	t.Parallel()
	h := up(t)
	c := h.connectDemo("organization/org_1")
	ingress := cluster{h}.join("ingress", "--base-url", h.http)
	if err := h.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resume := sync.OnceFunc(func() { _ = h.cmd.Process.Signal(syscall.SIGCONT) })
	defer resume()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			body := fmt.Sprintf(`{"n":%d}`, i)
			began := time.Now()
			a, err := send(t.Context(), "POST", ingress.http+strings.TrimPrefix(c.WebhookURL, h.http), body, sign(body, signingSecret, time.Now())...)
			if err != nil || a.status != http.StatusServiceUnavailable {
				t.Errorf("paused: %d %s %v, want 503", a.status, a.body, err)
			}
			if took := time.Since(began); took > 8*time.Second {
				t.Errorf("the 503 took %v", took)
			}
		})
	}
	wg.Wait()
	resume()
}

// TestNoSecretIsAnywhere plants secrets and greps everything that Hawser leaves
// behind: logs, metrics, answers, and the whole data folder.
func TestNoSecretIsAnywhere(t *testing.T) {
	t.Parallel()
	h := up(t, "--log-level", "debug")
	c := h.connectDemo("organization/org_1")
	segment := c.WebhookURL[strings.LastIndex(c.WebhookURL, "/")+1:]
	body := `{"text":"hello"}`
	for _, key := range []string{signingSecret, "wrong"} {
		if _, err := send(t.Context(), "POST", c.WebhookURL, body, sign(body, key, time.Now())...); err != nil {
			t.Fatal(err)
		}
	}
	path := "/scopes/organization/org_1/connections/demo-key"
	seen := string(h.api("GET", path, "").body) + string(h.api("GET", "/scopes/organization/org_1/connections", "").body)
	for _, action := range []string{`postMessage {"text":"x"}`, `fail {"status":401}`, `postMessage {"wrong":1}`} {
		name, input, _ := strings.Cut(action, " ")
		seen += string(h.api("POST", path+"/actions/"+name, input).body)
	}
	seen += string(h.api("PUT", path, `{"config":{"apiKey":"demo_revoked-canary-api-key-91f3"}}`).body)
	seen += string(h.api("PUT", path+"?replace=true", `{"config":{"apiKey":"demo_revoked-canary-api-key-91f3"}}`).body)
	metrics, err := send(t.Context(), "GET", h.http+"/metrics", "")
	if err != nil {
		t.Fatal(err)
	}
	seen += string(metrics.body)
	h.stop(t)
	canaries := map[string]string{"API key": "canary-api-key-91f3", "signing secret": signingSecret, "URL secret": segment, "admin token": h.token}
	for what, canary := range canaries {
		if strings.Contains(seen, canary) {
			t.Errorf("the %s stands in an answer or a metric", what)
		}
		if strings.Contains(h.log.String(), canary) {
			t.Errorf("the %s stands in the log", what)
		}
	}
	err = filepath.WalkDir(h.data, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for what, canary := range canaries {
			if strings.Contains(string(data), canary) && filepath.Base(path) != "admin.token" {
				t.Errorf("the %s stands in %s", what, path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
