// Package e2e_test tests Hawser from outside: the built programs, HTTP, and a
// plain NATS client. Of the system it imports nothing that a stranger could not,
// but for an address to run it on.
package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/testenv"
	// The programs are built by a command, of which the cache of test results knows
	// nothing: with their code in this test, a change of it is a change of the test.
	_ "github.com/hawser-io/hawser/pkg/app"
)

// bin is the folder with the built programs.
var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "hawser-e2e-")
	if err != nil {
		panic(err)
	}
	build := exec.Command("go", "build", "-race", "-o", dir+"/", "../cmd/...")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "the programs do not build:", err)
		os.Exit(1)
	}
	bin = dir
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// process is a running program.
type process struct {
	cmd  *exec.Cmd
	log  *output
	done chan struct{}

	http, nats, demo string // addresses, from its ready line
}

// output collects what a program prints, and tells when a line comes by.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	lines chan string
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) read(r io.Reader) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		o.mu.Lock()
		o.text.WriteString(scanner.Text() + "\n")
		o.mu.Unlock()
		select {
		case o.lines <- scanner.Text():
		default: // nobody waits for lines any more
		}
	}
}

var readyLine = regexp.MustCompile(`^hawser is ready: \w+ at (http://\S+), nats at ([^\s,]+)(?:, demo provider at (\S+))?`)

// start runs a program and returns when it says that it is ready.
func start(t *testing.T, program string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(filepath.Join(bin, program), args...), log: &output{lines: make(chan string, 1000)}, done: make(chan struct{})}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.log.read(stderr)
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() { p.stop(t) })
	for deadline := time.After(60 * time.Second); ; {
		select {
		case line := <-p.log.lines:
			if m := readyLine.FindStringSubmatch(line); m != nil {
				p.http, p.nats, p.demo = m[1], m[2], m[3]
				return p
			}
		case <-p.done:
			t.Fatalf("%s ended before it was ready:\n%s", program, p.log)
		case <-deadline:
			t.Fatalf("%s is not ready after 60 s:\n%s", program, p.log)
		}
	}
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop drains, and fails the test if the exit status is not 0.
func (p *process) stop(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
		return
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%s ended with %d after SIGTERM:\n%s", filepath.Base(p.cmd.Path), code, tail(p.log.String()))
		}
	case <-time.After(30 * time.Second):
		p.kill()
		t.Errorf("%s did not end within 30 s of SIGTERM:\n%s", filepath.Base(p.cmd.Path), tail(p.log.String()))
	}
}

func tail(s string) string {
	lines := strings.Split(s, "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// hawser is a running `hawser up --demo` and what is needed to talk to it.
type hawser struct {
	*process
	t     *testing.T
	data  string
	token string
}

func up(t *testing.T, args ...string) *hawser {
	t.Helper()
	free := net.JoinHostPort(testenv.Loopback(t), "0")
	return upOn(t, t.TempDir(), append([]string{"--http", free, "--nats", free, "--demo-addr", free}, args...)...)
}

func upOn(t *testing.T, data string, args ...string) *hawser {
	t.Helper()
	p := start(t, "hawser", append([]string{"up", "--demo", "--data", data}, args...)...)
	token, err := os.ReadFile(filepath.Join(data, "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	return &hawser{p, t, data, strings.TrimSpace(string(token))}
}

// again starts the same installation on the same addresses.
func (h *hawser) again(args ...string) *hawser {
	h.t.Helper()
	strip := func(s string) string { return strings.TrimPrefix(strings.TrimPrefix(s, "http://"), "nats://") }
	return upOn(h.t, h.data, append([]string{"--http", strip(h.http), "--nats", strip(h.nats), "--demo-addr", strip(h.demo)}, args...)...)
}

// connect opens a NATS connection with the operator's credentials.
func (h *hawser) connect() *nats.Conn {
	h.t.Helper()
	return dial(h.t, h.nats, filepath.Join(h.data, "nats.creds"))
}

func dial(t *testing.T, url, creds string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, nats.UserCredentials(creds), nats.Timeout(30*time.Second), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// tenantCreds asks the program for a tenant's credentials.
func (h *hawser) tenantCreds(scope, identity string) string {
	h.t.Helper()
	out, err := exec.Command(filepath.Join(bin, "hawser"), "creds", "tenant", scope, identity, "--data", h.data).Output()
	if err != nil {
		h.t.Fatalf("hawser creds tenant: %v", err)
	}
	path := filepath.Join(h.t.TempDir(), "tenant.creds")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		h.t.Fatal(err)
	}
	return path
}

// answer is an HTTP answer, read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) decode(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal(a.body, v); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
}

// api calls the management API.
func (h *hawser) api(method, path, body string, headers ...string) answer {
	h.t.Helper()
	a, err := send(h.t.Context(), method, h.http+"/api/v1"+path, body, append([]string{"Authorization", "Bearer " + h.token}, headers...)...)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func send(ctx context.Context, method, url, body string, headers ...string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, data}, err
}

// connection is what connect answers.
type connection struct {
	ID         string
	State      string
	WebhookURL string `json:"webhook_url"`
}

const signingSecret = "canary-signing-secret-5d2c"

// connectDemo connects demo-key for a tenant.
func (h *hawser) connectDemo(tenantPath string) connection {
	h.t.Helper()
	a := h.api("PUT", "/scopes/"+tenantPath+"/connections/demo-key", `{"config":{"apiKey":"demo_canary-api-key-91f3","webhookSecret":"`+signingSecret+`"}}`)
	if a.status != http.StatusCreated {
		h.t.Fatalf("connect %s: %d %s", tenantPath, a.status, a.body)
	}
	var c connection
	a.decode(h.t, &c)
	return c
}
