package queue_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

// Roles that say nothing about replicas must neither begin a cluster with one copy nor
// take copies away from one that has three.
func TestReplicasAreLoweredOnlyByName(t *testing.T) {
	t.Parallel()
	q := queueOn(t, testenv.StartCluster(t).Conn(t, 0))
	replicas := func() (all []int) {
		for _, s := range allStreams {
			all = append(all, configOf(t, q, s).Replicas)
		}
		for _, name := range []string{"bodies", "dead-bodies"} {
			stream, err := q.Bus.JetStream().Stream(t.Context(), "OBJ_"+q.Bus.Subjects.Bucket(name))
			testenv.Must(t, err)
			all = append(all, stream.CachedInfo().Config.Replicas)
		}
		return all
	}
	want := func(when string, n int) {
		t.Helper()
		for _, got := range replicas() {
			if got != n {
				t.Fatalf("%s: got %v replicas, want %d everywhere", when, replicas(), n)
			}
		}
	}
	ensure(t, q, queue.Topology{})
	want("new streams in a cluster", 3)
	if drift := ensure(t, q, queue.Topology{}); len(drift) != 0 {
		t.Errorf("drift without a change: %v", drift)
	}
	ensure(t, q, queue.Topology{Replicas: 1})
	want("one copy by name", 1)
	ensure(t, q, queue.Topology{})
	want("as it is", 1)
}

func TestReplicasOnASingleServer(t *testing.T) {
	t.Parallel()
	q := queueOn(t, testenv.Start(t, nil).Conn(t))
	_, err := q.Ensure(t.Context(), queue.Topology{Replicas: 3})
	if err == nil || !strings.Contains(err.Error(), "--replicas") {
		t.Errorf("three copies on one server: got %v, want an error that names --replicas", err)
	}
	ensure(t, q, queue.Topology{})
	if got := configOf(t, q, events.Actions).Replicas; got != 1 {
		t.Errorf("got %d replicas, want 1", got)
	}
}

// What an operator or another role has chosen stays where this process says nothing.
func TestChosenAgesAndSizesStay(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	ensure(t, q, queue.Topology{WebhooksMaxBytes: 32 << 20, WebhooksMaxAge: 240 * time.Hour, ResultsMaxMsgs: 10, EventsMaxAge: time.Hour})
	if drift := ensure(t, q, queue.Topology{}); len(drift) != 0 {
		t.Errorf("a process that chose nothing changed %v", drift)
	}
}

func TestAChangeIsReportedBeforeItIsMade(t *testing.T) {
	t.Parallel()
	env, first := start(t)
	var reported []queue.Drift
	q := testenv.QueueWith(t, env.Conn(t), &queue.Options{PublishTimeout: testenv.MaxWait, OnChange: func(d queue.Drift) {
		if got := configOf(t, first, events.Lifecycle).MaxAge; got == time.Hour {
			t.Error("the change was made before it was reported")
		}
		reported = append(reported, d)
	}})
	drift := ensure(t, q, queue.Topology{EventsMaxAge: time.Hour})
	if len(reported) != 1 || len(drift) != 1 || reported[0] != drift[0] {
		t.Errorf("reported %v, changed %v, want the same one", reported, drift)
	}
}

// A default size that had to be reduced is reported, and restored when there is room.
func TestAReducedSizeIsToldAndUndone(t *testing.T) {
	t.Parallel()
	const store = 40 << 30
	env := testenv.Start(t, &testenv.Options{MaxStore: store})
	var changes []string
	q := testenv.QueueWith(t, env.Conn(t), &queue.Options{PublishTimeout: testenv.MaxWait, OnChange: func(d queue.Drift) { changes = append(changes, d.String()) }})
	_, err := q.Bus.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "other", MaxBytes: store - 1<<30})
	testenv.Must(t, err)
	ensure(t, q, queue.Topology{})
	small := configOf(t, q, events.Webhooks).MaxBytes
	if small >= 1<<30 || !strings.Contains(strings.Join(changes, "\n"), "stream HAWSER_WEBHOOKS: max_bytes was 8589934592, is") {
		t.Fatalf("the stream has %d bytes; changes: %q", small, changes)
	}
	changes = nil
	ensure(t, q, queue.Topology{})
	if got := configOf(t, q, events.Webhooks).MaxBytes; got != small || !strings.Contains(strings.Join(changes, "\n"), "no room") {
		t.Errorf("without room: %d bytes, want %d; changes: %q", got, small, changes)
	}
	testenv.Must(t, q.Bus.JetStream().DeleteStream(t.Context(), "other"))
	ensure(t, q, queue.Topology{})
	if got := configOf(t, q, events.Webhooks); got.MaxBytes != 8<<30 {
		t.Errorf("with room again: %d bytes, want 8 GiB", got.MaxBytes)
	}
	changes = nil
	if ensure(t, q, queue.Topology{}); len(changes) != 0 {
		t.Errorf("reported again: %q", changes)
	}
}

func TestDefaultSizesAreSharesOfTheStore(t *testing.T) {
	t.Parallel()
	const store = 1 << 30
	q := queueOn(t, testenv.Start(t, &testenv.Options{MaxStore: store}).Conn(t))
	ensure(t, q, queue.Topology{StoreBytes: store})
	if got := configOf(t, q, events.Webhooks).MaxBytes; got != store/16*6 {
		t.Errorf("webhooks may take %d bytes, want %d", got, store/16*6)
	}
	_, err := q.Ensure(t.Context(), queue.Topology{WebhooksMaxBytes: 2 * store})
	if err == nil || !strings.Contains(err.Error(), "--webhooks-max-bytes") {
		t.Errorf("got %v, want an error that names the setting", err)
	}
}
