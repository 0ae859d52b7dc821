package connection_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/memkv"
)

func TestHealthNeverConflictsWithChangesOfTheConnection(t *testing.T) {
	t.Parallel()
	bothDrivers(t, func(t *testing.T, w *world) {
		r := shopOf(acme)
		w.connect(r, `{"apiKey":"abc"}`)
		writers := []*records.StatusWriter{records.NewStatusWriter(w.buckets), records.NewStatusWriter(w.buckets), records.NewStatusWriter(w.buckets)}
		for _, err := range atOnce(24, func(i int) error {
			writer := writers[i%3]
			switch {
			case i == 7:
				return ignored(w.service.Update(t.Context(), r, connection.UpdateInput{Config: json.RawMessage(`{"apiKey":"new"}`)}))
			case i%3 == 0:
				writer.Webhook(r, "")
			case i%3 == 1:
				writer.Action(r, "")
			default:
				writer.Action(r, "CONNECTOR_ACTION_FAILED")
			}
			var failure error
			writer.Flush(t.Context(), func(err error) { failure = err })
			return failure
		}) {
			must(t, err)
		}
		v, err := w.service.Get(t.Context(), r)
		must(t, err)
		if v.Status == nil || v.Status.LastWebhook == nil || v.Status.LastAction == nil || v.Status.LastError == nil {
			t.Fatalf("status = %+v, want all of it", v.Status)
		}
		if v.Status.LastWebhook.Result != "success" || v.Status.LastError.Code != "CONNECTOR_ACTION_FAILED" || v.Status.LastError.Result != "error" {
			t.Errorf("status = %+v", v.Status)
		}
		sameJSON(t, w.config(r), `{"apiKey":"new","channel":"general"}`)
	})
}

// everyKey is a bucket in which every connection exists.
type everyKey struct{ kvstore.Store }

func (everyKey) Get(_ context.Context, key string) (kvstore.Entry, error) {
	return kvstore.Entry{Key: key}, nil
}

// What is noted about a connection just before its end must not outlive it.
func TestNoStatusIsLeftOfAConnectionThatHasEnded(t *testing.T) {
	t.Parallel()
	bothDrivers(t, func(t *testing.T, w *world) {
		r := shopOf(acme)
		w.connect(r, `{"apiKey":"abc"}`)
		writer := records.NewStatusWriter(w.buckets)
		writer.Webhook(r, "")
		_, err := w.service.Disconnect(t.Context(), r)
		must(t, err)
		writer.Flush(t.Context(), func(err error) { t.Error(err) })
		if e, err := w.buckets.Status.Get(t.Context(), r.Key()); !errors.Is(err, kvstore.ErrNotFound) {
			t.Errorf("status %s, %v, want none", e.Value, err)
		}
	})
}

// ward is a status writer over memory.
func ward(bucket kvstore.Store) (*records.StatusWriter, *records.Connections) {
	buckets := records.Buckets{Status: bucket, Connections: everyKey{memkv.New(nil)}}
	return records.NewStatusWriter(buckets), records.NewConnections(buckets, records.NewSealer(nil, prefix))
}

func TestManyNotesAreOneWriteAndTheLastOneIsMadeAfterTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var writes atomic.Int64
		bucket := &wrapped{Store: memkv.New(nil)}
		r := shopOf(acme)
		writer, store := ward(bucket)
		var slow atomic.Bool
		bucket.write = func(_, _ string, do func() error) error {
			writes.Add(1)
			if slow.CompareAndSwap(true, false) {
				writer.Action(r, "LATE") // while the last round is being written
			}
			return do()
		}
		stop := run(t, func(ctx context.Context) error { return writer.Run(ctx, func(err error) { t.Error(err) }) })
		for range 1000 {
			writer.Webhook(r, "")
			writer.Webhook(r, "CODE")
		}
		time.Sleep(1100 * time.Millisecond)
		if n := writes.Load(); n != 1 {
			t.Errorf("%d writes, want 1", n)
		}
		time.Sleep(5 * time.Second)
		if n := writes.Load(); n != 1 {
			t.Errorf("%d writes without news, want 1", n)
		}
		slow.Store(true)
		writer.Webhook(r, "")
		stop()
		got, err := store.Status(t.Context(), r)
		must(t, err)
		if got.LastWebhook.Code != "" || got.LastError.Code != "LATE" || got.LastAction.Code != "LATE" {
			t.Errorf("status = %+v %+v %+v", got.LastWebhook, got.LastError, got.LastAction)
		}
	})
}

func TestAnOlderOutcomeDoesNotReplaceANewer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := memkv.New(nil)
		slow, store := ward(bucket)
		fast, _ := ward(bucket)
		r := shopOf(acme)
		slow.Action(r, "OLD")
		time.Sleep(time.Second)
		fast.Action(r, "NEW")
		fast.Flush(t.Context(), func(err error) { t.Error(err) })
		slow.Flush(t.Context(), func(err error) { t.Error(err) })
		got, err := store.Status(t.Context(), r)
		must(t, err)
		if got.LastAction.Code != "NEW" || got.LastError.Code != "NEW" {
			t.Errorf("status = %+v", got.LastAction)
		}
	})
}

func TestHealthThatCannotBeWrittenNowIsWrittenLater(t *testing.T) {
	t.Parallel()
	bucket := &wrapped{Store: memkv.New(nil)}
	writer, store := ward(bucket)
	away := true
	bucket.write = func(_, _ string, do func() error) error {
		if away {
			return kvstore.ErrUnavailable
		}
		return do()
	}
	of := func(i int) records.Ref { return shopOf(events.Tenant{Scope: "user", Identity: fmt.Sprint(i)}) }
	for i := range 50 {
		writer.Webhook(of(i), "OLD")
	}
	var problems []error
	writer.Flush(t.Context(), func(err error) { problems = append(problems, err) })
	if len(problems) != 1 || !errors.Is(problems[0], kvstore.ErrUnavailable) {
		t.Errorf("problems = %v, want one", problems)
	}
	writer.Webhook(of(0), "NEW")
	away = false
	writer.Flush(t.Context(), func(err error) { t.Error(err) })
	for i := range 50 {
		want := "OLD"
		if i == 0 {
			want = "NEW"
		}
		if got, err := store.Status(t.Context(), of(i)); err != nil || got == nil || got.LastWebhook.Code != want {
			t.Errorf("%d: %+v, %v, want %s", i, got, err, want)
		}
	}
}

func TestNotesAreBounded(t *testing.T) {
	t.Parallel()
	bucket := memkv.New(nil)
	writer, store := ward(bucket)
	of := func(i int) records.Ref { return shopOf(events.Tenant{Scope: "user", Identity: fmt.Sprint(i)}) }
	for i := range records.MaxNoted + 10 {
		writer.Webhook(of(i), "")
	}
	writer.Webhook(of(0), "NEWS") // of one that is noted already
	writer.Flush(t.Context(), func(err error) { t.Error(err) })
	n, err := bucket.Count(t.Context(), ">")
	must(t, err)
	got, err := store.Status(t.Context(), of(0))
	must(t, err)
	if n != records.MaxNoted || got.LastWebhook.Code != "NEWS" {
		t.Errorf("%d written, the first is %+v", n, got)
	}
}

func TestHealthThatCannotBeReadIsNoHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	w.connect(r, `{"apiKey":"abc"}`)
	_, err := w.bare["status"].Create(t.Context(), r.Key(), []byte("{"), 0)
	must(t, err)
	if v, err := w.service.Get(t.Context(), r); err != nil || v.Status != nil {
		t.Errorf("status = %+v, %v", v.Status, err)
	}
	writer := records.NewStatusWriter(w.buckets)
	writer.Action(r, "")
	writer.Flush(t.Context(), w.problem)
	if v, err := w.service.Get(t.Context(), r); err != nil || v.Status == nil || len(w.problems) > 0 {
		t.Errorf("status = %+v, %v, %v", v.Status, err, w.problems)
	}
}

func TestANewConnectionDoesNotInheritHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	writer := records.NewStatusWriter(w.buckets)
	w.connect(r, `{"apiKey":"abc"}`)
	must(t, ignored(w.service.Disconnect(t.Context(), r)))
	writer.Webhook(r, "LATE") // a delivery that was under way
	writer.Flush(t.Context(), w.problem)
	w.connect(r, `{"apiKey":"abc"}`)
	if v, err := w.service.Get(t.Context(), r); err != nil || v.Status != nil {
		t.Errorf("status = %+v, %v, want none", v.Status, err)
	}
}
