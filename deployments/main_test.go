// Package deployments_test starts what this folder describes, or has it checked by the tool
// that reads it.
package deployments_test

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/demo"
	"github.com/hawser-io/hawser/pkg/app"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// The test's own binary is also the programs: with this variable it is one of them, and with
// the next it has the demo connectors.
const (
	programVariable  = "HAWSER_TEST_PROGRAM"
	providerVariable = "HAWSER_TEST_PROVIDER"
)

func TestMain(m *testing.M) {
	var own []connectors.Connector
	if url := os.Getenv(providerVariable); url != "" {
		own = demo.Connectors(url)
	}
	switch os.Getenv(programVariable) {
	case "":
		os.Exit(m.Run())
	case "hawser":
		os.Exit(app.Hawser())
	case "ingress":
		os.Exit(app.Ingress(own...))
	case "executor":
		os.Exit(app.Executor(own...))
	case "refresher":
		os.Exit(app.Refresher(own...))
	}
	os.Exit(2)
}

func program(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), programVariable+"="+name)
	return cmd
}

// hawser runs a command of the operator to its end, and returns what it printed.
func hawser(t *testing.T, args ...string) string {
	t.Helper()
	cmd := program("hawser", args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("hawser %s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return string(out)
}

// process is a running program.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// start starts a program, waits until it is ready, and stops it when the test ends.
func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, done: make(chan struct{})}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	go func() {
		defer close(p.done)
		p.read(stderr, sync.OnceFunc(func() { close(ready) }))
		_ = cmd.Wait()
	}()
	t.Cleanup(func() { p.stop(t) })
	select {
	case <-ready:
	case <-p.done:
		t.Fatalf("%s ended before it was ready:\n%s", strings.Join(cmd.Args, " "), p.text())
	case <-time.After(90 * time.Second):
		t.Fatalf("%s is not ready after 90 s:\n%s", strings.Join(cmd.Args, " "), p.text())
	}
	return p
}

func (p *process) read(r io.Reader, ready func()) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		p.mu.Lock()
		p.log.WriteString(scanner.Text() + "\n")
		p.mu.Unlock()
		if strings.HasPrefix(scanner.Text(), "hawser is ready: ") {
			ready()
		}
	}
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// stop drains the program, and fails the test if its exit status is not 0.
func (p *process) stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%s ended with %d:\n%s", strings.Join(p.cmd.Args, " "), code, p.text())
		}
	case <-time.After(40 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
		t.Errorf("%s did not end within 40 s of SIGTERM:\n%s", strings.Join(p.cmd.Args, " "), p.text())
	}
}
