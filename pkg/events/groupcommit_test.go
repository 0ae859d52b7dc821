package events_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

// syncing returns a server that syncs every write, and a bus on it.
func syncing(t testing.TB) (*testenv.Env, *queue.Queue) {
	t.Helper()
	env := testenv.Start(t, &testenv.Options{Sync: "always"})
	q := queueOn(t, env.Conn(t, nats.ReconnectBufSize(-1)))
	ensure(t, q, queue.Topology{})
	return env, q
}

func webhookOn(q *queue.Queue, id string) string {
	return q.Bus.Subjects.Webhook(ava, "demo-key", "x", events.DeliveryToken("c_1", events.FromProvider, id))
}

// batched counts the stored webhooks that came in a batch.
func batched(t testing.TB, q *queue.Queue) (all, inBatch int) {
	t.Helper()
	err := q.Streams.Scan(bounded(t), events.Webhooks, q.Bus.Subjects.Webhooks(), time.Time{}, func(d *events.StoredMessage) bool {
		all++
		if d.Header["Nats-Batch-Id"] != nil {
			inBatch++
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, inBatch
}

func TestConcurrentPublishesAreStoredInBatchesAndTheirRepetitionsRefused(t *testing.T) {
	t.Parallel()
	_, q := syncing(t)
	g := events.NewGroupCommit(q.Bus)
	const publishers, each = 64, 10
	for round, want := range []error{nil, events.ErrExists} {
		var running sync.WaitGroup
		for n := range publishers {
			running.Go(func() {
				for i := range each {
					if err := g.Publish(bounded(t), webhookOn(q, fmt.Sprint(n, "/", i)), lifecycle(events.WebhookProcessed)); !errors.Is(err, want) {
						t.Errorf("round %d: got %v, want %v", round, err, want)
					}
				}
			})
		}
		running.Wait()
		if all, inBatch := batched(t, q); all != publishers*each || inBatch == 0 {
			t.Errorf("round %d: %d are stored, %d of them by batches, want %d and some", round, all, inBatch, publishers*each)
		}
	}
}

func TestAFewPublishesAreNoBatch(t *testing.T) {
	t.Parallel()
	_, q := syncing(t)
	g := events.NewGroupCommit(q.Bus)
	var running sync.WaitGroup
	for n := range 15 {
		running.Go(func() {
			for i := range 10 {
				if err := g.Publish(bounded(t), webhookOn(q, fmt.Sprint(n, "/", i)), lifecycle(events.WebhookProcessed)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	if all, inBatch := batched(t, q); all != 150 || inBatch != 0 {
		t.Errorf("%d are stored, %d of them by batches, want 150 and none", all, inBatch)
	}
}

func TestARefusedMemberOfAGroupFailsNoOther(t *testing.T) {
	t.Parallel()
	_, q := syncing(t)
	subject := func(n int) string { return webhookOn(q, fmt.Sprint(n)) }
	if errs := events.PublishGroup(bounded(t), q.Bus, []string{subject(1)}); errs[0] != nil {
		t.Fatal(errs[0])
	}
	for name, tc := range map[string]struct{ subjects, refused []int }{
		"a stored one":       {[]int{100, 1, 101}, []int{1}},
		"the last":           {[]int{200, 201, 1}, []int{2}},
		"one within a group": {[]int{300, 301, 300}, []int{2}},
	} {
		var subjects []string
		for _, n := range tc.subjects {
			subjects = append(subjects, subject(n))
		}
		want := make([]error, len(subjects))
		for _, n := range tc.refused {
			want[n] = events.ErrExists
		}
		for n, err := range events.PublishGroup(bounded(t), q.Bus, subjects) {
			if !errors.Is(err, want[n]) {
				t.Errorf("%s: member %d got %v, want %v", name, n, err, want[n])
			}
		}
	}
	if got := state(t, q, events.Webhooks).Messages; got != 7 {
		t.Errorf("%d are stored, want 7", got)
	}
}

func TestARestartDuringBatchesLosesNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	env, q := syncing(t)
	g := events.NewGroupCommit(q.Bus)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var acked sync.Map
	var attempts atomic.Int64
	for n := range 64 {
		running.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				subject := webhookOn(q, fmt.Sprint(n, "/", i))
				for ctx.Err() == nil { // as a provider repeats what was not acknowledged
					attempts.Add(1)
					err := g.Publish(ctx, subject, lifecycle(events.WebhookProcessed))
					if err == nil || errors.Is(err, events.ErrExists) {
						acked.Store(subject, true)
						break
					}
					if !errors.Is(err, events.ErrUnavailable) && ctx.Err() == nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for range 3 {
		enough := attempts.Load() + 300
		for deadline := time.Now().Add(testenv.MaxWait); attempts.Load() < enough && time.Now().Before(deadline); {
			time.Sleep(time.Millisecond)
		}
		env.Restart(t)
	}
	enough := attempts.Load() + 300
	for deadline := time.Now().Add(testenv.MaxWait); attempts.Load() < enough && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	stop()
	running.Wait()
	stored := map[string]int{}
	if err := q.Streams.Scan(bounded(t), events.Webhooks, q.Bus.Subjects.Webhooks(), time.Time{}, func(d *events.StoredMessage) bool {
		stored[d.Subject]++
		return true
	}); err != nil {
		t.Fatal(err)
	}
	count := 0
	acked.Range(func(subject, _ any) bool {
		count++
		if stored[subject.(string)] != 1 {
			t.Errorf("%s was acknowledged and is stored %d times", subject, stored[subject.(string)])
		}
		return true
	})
	_, inBatch := batched(t, q)
	t.Logf("%d acknowledged, %d stored, %d of them by batches", count, len(stored), inBatch)
	if count == 0 || inBatch == 0 {
		t.Errorf("%d acknowledged, %d by batches", count, inBatch)
	}
}

func TestAPublishThatIsNotWaitedForAnyMoreLeavesItsGroup(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, &testenv.Options{Sync: "always"})
	q, proxy := proxied(t, env)
	ensure(t, q, queue.Topology{})
	g := events.NewGroupCommit(q.Bus)
	proxy.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	var running sync.WaitGroup
	for n := range 200 {
		running.Go(func() {
			began := time.Now()
			err := g.Publish(ctx, webhookOn(q, fmt.Sprint(n)), lifecycle(events.WebhookProcessed))
			if took := time.Since(began); !errors.Is(err, events.ErrUnavailable) || took > 2*events.DefaultPublishTimeout {
				t.Errorf("got %v after %v", err, took)
			}
		})
	}
	running.Wait()
	proxy.Resume()
	for _, id := range []string{"again", "and again"} {
		var err error
		for range 100 {
			if err = g.Publish(bounded(t), webhookOn(q, id), lifecycle(events.WebhookProcessed)); err == nil {
				break
			}
		}
		if err != nil {
			t.Error(err)
		}
	}
}
