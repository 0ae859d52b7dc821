package embedded_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A store that could not write once takes no more writes, also when the disk is well again.
func TestAStoreThatFailedIsToldAndComesBackByARestart(t *testing.T) {
	t.Parallel()
	opts := quick(t.TempDir())
	s := start(t, opts)
	address := s.URL()
	js := jetStream(t, operator(t, s))
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}})
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(opts.DataDir, "jetstream", "*", "streams", "S", "msgs"))
	if err != nil || len(found) != 1 {
		t.Fatalf("folders of the stream: %v, %v", found, err)
	}
	if err := s.StoreFailure(); err != nil {
		t.Fatalf("before the fault: %v", err)
	}
	away := found[0] + ".away"
	for _, err := range []error{os.Rename(found[0], away), os.WriteFile(found[0], nil, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	_ = stream.Purge(t.Context())
	for range 3 {
		_, err = js.Publish(t.Context(), "s", nil)
	}
	if failure := s.StoreFailure(); err == nil || failure == nil {
		t.Fatalf("with the fault: publish %v, failure %v", err, failure)
	}
	for _, err := range []error{os.Remove(found[0]), os.Rename(away, found[0]), s.Restart(t.Context())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if failure := s.StoreFailure(); failure != nil || s.URL() != address {
		t.Errorf("after the restart: failure %v, address %s, want %s", failure, s.URL(), address)
	}
	for range 1000 {
		time.Sleep(10 * time.Millisecond)
		if _, err = js.Publish(t.Context(), "s", nil); err == nil {
			return
		}
	}
	t.Errorf("after the restart: %v", err)
}
