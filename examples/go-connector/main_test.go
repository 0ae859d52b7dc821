package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/app"
	"github.com/hawser-io/hawser/pkg/client"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/secret"
)

// asProgram makes the test's own binary the program.
const asProgram = "GO_CONNECTOR_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

const key = "a key that nobody but the signer sees"

func TestTheExampleServesItsConnector(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	keyset := filepath.Join(t.TempDir(), "keyset.json")
	text, err := crypto.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	if err := crypto.SaveKeyset(keyset, text, nil); err != nil {
		t.Fatal(err)
	}
	args := []string{"--nats-url", env.URL(), "--nats-creds", env.Server().CredsPath(), "--keyset", keyset, "--http", "127.0.0.1:0"}
	logs := startExample(t, args)
	startIngress(t, args)

	hawser, err := client.New(env.Conn(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	acme := hawser.Scope("organization", "acme")
	conn, err := acme.Connect(t.Context(), "signer", config{Key: secret.New(key), Name: "Ava"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(conn.Config), key) {
		t.Error("the connection shows its key")
	}
	got, err := client.Call[output](t.Context(), acme.Action("signer", "sign"), input{"hello"})
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte("hello"))
	if want := (output{hex.EncodeToString(mac.Sum(nil)), "Ava"}); err != nil || got != want {
		t.Errorf("sign = %+v, %v, want %+v", got, err, want)
	}
	_, err = acme.Action("signer", "sign").Call(t.Context(), input{})
	if !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorActionInputInvalid}) {
		t.Errorf("sign nothing: %v, want CONNECTOR_ACTION_INPUT_INVALID", err)
	}
	if strings.Contains(logs(), key) {
		t.Error("the key is in the log")
	}
}

// startExample runs main in a process of its own until the test is over. What
// is returned ends it early, and gives its log.
func startExample(t *testing.T, args []string) (logs func() string) {
	t.Helper()
	program := exec.Command(os.Args[0], args...)
	program.Env = append(os.Environ(), asProgram+"=1")
	stderr, err := program.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	lines := bufio.NewReader(io.TeeReader(stderr, &log))
	end := func() string {
		if program.ProcessState != nil {
			return log.String()
		}
		_ = program.Process.Signal(syscall.SIGTERM)
		_, _ = io.Copy(io.Discard, lines)
		if err := program.Wait(); err != nil {
			t.Errorf("the example ended with %v:\n%s", err, log.String())
		}
		return log.String()
	}
	t.Cleanup(func() { end() })
	awaitReady(t, lines)
	return end
}

// startIngress runs an ingress inside of the test.
func startIngress(t *testing.T, args []string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background()) // the test's own is over before its cleanup
	reader, writer := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- app.Run(ctx, "ingress", args, writer)
		_ = writer.Close()
	}()
	lines := bufio.NewReader(reader)
	awaitReady(t, lines)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, lines)
	}()
	t.Cleanup(func() {
		stop()
		if status := <-ended; status != 0 {
			t.Errorf("the ingress ended with status %d", status)
		}
		<-drained
	})
}

func awaitReady(t *testing.T, lines *bufio.Reader) {
	t.Helper()
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("ended before it was ready: %v %s", err, line)
		}
		if strings.HasPrefix(line, "hawser is ready") {
			return
		}
	}
}
