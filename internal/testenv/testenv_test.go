package testenv_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/internal/testenv"
)

func TestMain(m *testing.M) { testenv.VerifyNoLeaks(m) }

func TestStreamsSurviveARestartAndConnectionsComeBack(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	js, err := jetstream.New(env.Conn(t))
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := jetstream.New(env.TenantConn(t, "org", "ava"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "KEEP", Subjects: []string{"hawser.action.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := tenant.Publish(t.Context(), "hawser.action.org.ava.demo.a", nil); err != nil {
		t.Fatal(err)
	}
	url := env.URL()
	env.Restart(t)
	if got := env.URL(); got != url || env.Server().URL() != url {
		t.Errorf("URL after a restart = %s, want %s", got, url)
	}
	if ack, err := tenant.Publish(t.Context(), "hawser.action.org.ava.demo.a", nil); err != nil || ack.Sequence != 2 {
		t.Errorf("publish after a restart: %+v, %v, want sequence 2", ack, err)
	}
	if _, err := js.Stream(t.Context(), "KEEP"); err != nil {
		t.Error(err)
	}
}

func TestAStoppedEnvironmentStartsAgain(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, &testenv.Options{Prefix: "stage", Sync: "always"})
	for range 2 {
		if err := env.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if env.Server() != nil {
		t.Error("a stopped environment has a server")
	}
	if _, err := env.InProcessConn(); err == nil || !strings.Contains(err.Error(), "stopped") {
		t.Errorf("connect while stopped: %v, want an error", err)
	}
	env.Restart(t)
	if err := env.Conn(t).Flush(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(env.DataDir(), "nats.creds")); err != nil {
		t.Error(err)
	}
}
