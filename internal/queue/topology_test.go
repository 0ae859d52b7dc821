package queue_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/internal/golden"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

// allStreams is every stream of the topology.
var allStreams = []events.Stream{
	events.Actions, queue.Parked, events.Results, events.Webhooks, events.Lifecycle,
	queue.Refresh, events.Quarantine, queue.Dead, queue.Advisories, queue.Audit, queue.Probe,
}

func TestTopologyIsAsItWas(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	var out strings.Builder
	for _, s := range allStreams {
		out.WriteString(readable(t, configOf(t, q, s)))
	}
	golden.Text(t, "topology.golden.json", []byte(out.String()))

	var names []string
	list := q.Bus.JetStream().StreamNames(t.Context())
	for name := range list.Name() {
		names = append(names, name)
	}
	if len(names) != len(allStreams)+2 { // and the object stores'
		t.Errorf("streams: got %v, want those of allStreams and two of large bodies", names)
	}
}

// readable is a stream's config as JSON, with durations and sizes for people, and
// without what the server sets to its default.
func readable(t *testing.T, c jetstream.StreamConfig) string {
	t.Helper()
	doc, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(doc, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "metadata") // the server's version
	for name, value := range members {
		if limit, ok := value.(float64); value == false || ok && (limit == 0 || limit == -1) || value == "none" {
			delete(members, name)
		}
	}
	for name, d := range map[string]time.Duration{"max_age": c.MaxAge, "duplicate_window": c.Duplicates} {
		if d != 0 {
			members[name] = d.String()
		}
	}
	if c.MaxBytes > 0 {
		members["max_bytes"] = fmt.Sprintf("%d MiB", c.MaxBytes>>20)
	}
	delete(members, "consumer_limits")
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(members); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestEnsureAgainChangesNothing(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	if drift := ensure(t, q, queue.Topology{}); len(drift) != 0 {
		t.Errorf("drift of a new topology: %v", drift)
	}
}

func TestEnsureByManyProcessesAtOnce(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	var running sync.WaitGroup
	for range 8 {
		q := queueOn(t, env.Conn(t))
		running.Go(func() {
			if drift, err := q.Ensure(t.Context(), queue.Topology{}); err != nil || len(drift) != 0 {
				t.Errorf("Ensure: drift %v, %v", drift, err)
			}
		})
	}
	running.Wait()
}

// Whoever loses the race to create a stream may want it otherwise.
func TestEnsureByProcessesOfDifferentMinds(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	var running sync.WaitGroup
	for i := range 8 {
		q := queueOn(t, env.Conn(t))
		running.Go(func() {
			if _, err := q.Ensure(t.Context(), queue.Topology{ResultsMaxAge: time.Hour + time.Duration(i%2)*time.Hour}); err != nil {
				t.Errorf("Ensure: %v", err)
			}
		})
	}
	running.Wait()
}

func TestEnsureUpdatesAndTellsWhatItChanged(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	drift := ensure(t, q, queue.Topology{WebhooksMaxAge: 5 * time.Minute, ResultsMaxMsgs: 10, EventsMaxAge: time.Hour})
	lines := make([]string, 0, len(drift))
	for _, d := range drift {
		lines = append(lines, d.String())
	}
	slices.Sort(lines)
	want := []string{
		"stream HAWSER_EVENTS: max_age was 168h0m0s, is 1h0m0s",
		"stream HAWSER_RESULTS: max_msgs was 1000000, is 10",
		"stream HAWSER_WEBHOOKS: max_age was 72h0m0s, is 5m0s",
		"stream OBJ_hawser-bodies: max_age was 73h0m0s, is 1h5m0s", // an hour longer than the events
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("drift (-want +got):\n%s", diff)
	}
	if c := configOf(t, q, events.Results); c.MaxMsgs != 10 {
		t.Errorf("max messages: got %d, want 10", c.MaxMsgs)
	}
}

// On a stream that tenants publish to, these features let one tenant act on
// another's messages: see docs/decisions/0002.
func TestEnsureTakesAwayWhatTenantsMustNotHave(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	c := configOf(t, q, events.Actions)
	c.AllowRollup, c.AllowAtomicPublish, c.NoAck, c.Duplicates = true, true, true, time.Minute
	c.Subjects = append(c.Subjects, "hawser.parked.other.>")
	if _, err := q.Bus.JetStream().UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	drift := ensure(t, q, queue.Topology{})
	if len(drift) != 5 {
		t.Errorf("got drift %v, want 5 settings", drift)
	}
	if got := configOf(t, q, events.Actions); got.AllowRollup || got.AllowAtomicPublish || got.NoAck || len(got.Subjects) != 1 {
		t.Errorf("got %+v", got)
	}
}

func TestEnsureFailsWhereTheServerCannotTakeAway(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	c := configOf(t, q, events.Actions)
	c.AllowMsgSchedules, c.Sources, c.Discard = true, nil, jetstream.DiscardOld // the server refuses the others beside schedules
	if _, err := q.Bus.JetStream().UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	_, err := q.Ensure(t.Context(), queue.Topology{})
	if err == nil || !strings.Contains(err.Error(), "HAWSER_ACTIONS") || !strings.Contains(err.Error(), "allow_msg_schedules was true, is false") {
		t.Errorf("got error %v, want one that names the stream and the setting", err)
	}
}

func TestEnsureLeavesTheOperatorsSettingsAlone(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	c := configOf(t, q, events.Webhooks)
	c.Compression, c.Metadata = jetstream.S2Compression, map[string]string{"team": "integrations"}
	if _, err := q.Bus.JetStream().UpdateStream(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if drift := ensure(t, q, queue.Topology{WebhooksMaxAge: time.Hour}); len(drift) != 2 {
		t.Errorf("got drift %v, want the ages of events and large bodies only", drift)
	}
	if got := configOf(t, q, events.Webhooks); got.Compression != jetstream.S2Compression || got.Metadata["team"] != "integrations" || got.MaxAge != time.Hour {
		t.Errorf("got compression %v, metadata %v, age %v", got.Compression, got.Metadata, got.MaxAge)
	}
}

func TestAServerThatCannotDoIsRefused(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct {
		server testenv.Options
		needs  queue.Topology
	}{
		"level 99 is needed":    {testenv.Options{}, queue.Topology{MinServerAPILevel: 99}},
		"raise its max_payload": {testenv.Options{MaxPayload: 128<<10 - 1}, queue.Topology{}},
	} {
		q := queueOn(t, testenv.Start(t, &c.server).Conn(t))
		_, err := q.Ensure(t.Context(), c.needs)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want %q", err, want)
		}
		if _, err := q.Bus.JetStream().Stream(t.Context(), q.Bus.Subjects.StreamName(events.Actions)); err == nil {
			t.Error("streams were made all the same")
		}
	}
}

func TestInstallationsShareAServer(t *testing.T) {
	t.Parallel()
	// Each reserves what a server of its own would give it, whatever is free here.
	env := testenv.Start(t, &testenv.Options{MaxStore: 1 << 40})
	for _, prefix := range []string{"hawser", "a-b", "a_b"} {
		q, err := queue.New(env.Conn(t), &queue.Options{Prefix: prefix})
		if err != nil {
			t.Fatal(err)
		}
		ensure(t, q, queue.Topology{})
		a := request("1")
		for range len(prefix) {
			publishAction(t, q, a)
		}
		if got := state(t, q, events.Actions).Messages; got != uint64(len(prefix)) {
			t.Errorf("%s: %d requests, want %d", prefix, got, len(prefix))
		}
	}
}

func TestShortRetentionsAreLegal(t *testing.T) {
	t.Parallel()
	q := queueOn(t, testenv.Start(t, nil).Conn(t))
	short := time.Second
	ensure(t, q, queue.Topology{ResultsMaxAge: short, WebhooksMaxAge: short, EventsMaxAge: short, EvidenceMaxAge: short})
	if drift := ensure(t, q, queue.Topology{ResultsMaxAge: short, WebhooksMaxAge: short, EventsMaxAge: short, EvidenceMaxAge: short}); len(drift) != 0 {
		t.Error(fmt.Sprint(drift))
	}
}

// `hawser up` has to start on a small disk: defaults give way, choices do not.
func TestDefaultSizesFitIntoTheStore(t *testing.T) {
	t.Parallel()
	for _, store := range []int64{64 << 20, 1 << 30, 20 << 30} {
		q := queueOn(t, testenv.Start(t, &testenv.Options{MaxStore: store}).Conn(t))
		ensure(t, q, queue.Topology{})
		if drift := ensure(t, q, queue.Topology{}); len(drift) != 0 {
			t.Errorf("store of %d MiB: drift %v", store>>20, drift)
		}
		sum := int64(0)
		for _, s := range allStreams {
			sum += max(configOf(t, q, s).MaxBytes, 0)
		}
		if sum > store || sum < store/8 {
			t.Errorf("store of %d MiB: the streams may hold %d MiB", store>>20, sum>>20)
		}
		if _, err := q.Ensure(t.Context(), queue.Topology{WebhooksMaxBytes: 2 * store}); err == nil {
			t.Errorf("store of %d MiB: want an error about a chosen size that is larger", store>>20)
		}
	}
}
