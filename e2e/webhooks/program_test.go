package webhooks_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/app"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/crypto"
)

// asProgram makes the test's own binary one of the programs: "ingress", or an
// executor whose handler never returns ("stuck") or does at once ("executor").
const asProgram = "WEBHOOKS_AS_PROGRAM"

func TestMain(m *testing.M) {
	switch os.Getenv(asProgram) {
	case "ingress":
		os.Exit(app.Ingress())
	case "stuck":
		os.Exit(app.Executor(withHandler(0, func(_ context.Context, call *connectors.Call, d *connectors.Delivery) error {
			fmt.Println("handling", d.ProviderID, call.Attempt)
			select {} // ignores its deadline
		})))
	case "executor":
		os.Exit(app.Executor(withHandler(0, func(_ context.Context, call *connectors.Call, d *connectors.Delivery) error {
			fmt.Println("handled", d.ProviderID, call.Attempt)
			return nil
		})))
	}
	os.Exit(m.Run())
}

// program is a role in a process of its own, connected to the site's NATS server.
type program struct {
	cmd  *exec.Cmd
	url  string
	done chan struct{}

	mu    sync.Mutex
	lines []string // of both its outputs
}

var readyLine = regexp.MustCompile(`^hawser is ready: \w+ at (http://[^\s,]+)`)

// start starts this binary as a program and returns when it is ready. It is killed
// when the test ends.
func (s *site) start(name string) *program {
	s.t.Helper()
	return s.startBinary(os.Args[0], asProgram+"="+name)
}

// startBinary starts another program, with additions to its environment.
func (s *site) startBinary(binary string, env ...string) *program {
	s.t.Helper()
	keyset := filepath.Join(s.t.TempDir(), "keyset.json")
	must(s.t, crypto.SaveKeyset(keyset, s.Keyset, nil))
	p := &program{done: make(chan struct{}), cmd: exec.Command(binary, "--nats-url", s.Env.URL(), "--nats-creds", s.Env.Server().CredsPath(),
		"--keyset", keyset, "--http", "127.0.0.1:0", "--base-url", baseURL)}
	p.cmd.Env = append(os.Environ(), env...)
	out, err := p.cmd.StdoutPipe()
	must(s.t, err)
	p.cmd.Stderr = p.cmd.Stdout
	must(s.t, p.cmd.Start())
	s.t.Cleanup(p.kill)
	go func() {
		defer close(p.done)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, scanner.Text())
			p.mu.Unlock()
		}
		_ = p.cmd.Wait()
	}()
	testenv.EventuallyWithin(s.t, 60*time.Second, filepath.Base(binary)+" is ready", func() bool {
		select {
		case <-p.done:
			s.t.Fatalf("%s ended before it was ready: %s", binary, p.text())
		default:
		}
		m := readyLine.FindStringSubmatch(p.line("hawser is ready"))
		if m != nil {
			p.url = m[1]
		}
		return m != nil
	})
	return p
}

// line returns the first line of output with a prefix, or "".
func (p *program) line(prefix string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.lines {
		if strings.HasPrefix(line, prefix) {
			return line
		}
	}
	return ""
}

func (p *program) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// kill is kill -9.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}
