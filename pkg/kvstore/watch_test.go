package kvstore_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

func put(revision uint64) kvstore.Event {
	return kvstore.Event{Kind: kvstore.Put, Key: "a", Revision: revision}
}

func drain(f *kvstore.Feed) []kvstore.Event {
	f.Close()
	var events []kvstore.Event
	for e := range f.Events() {
		events = append(events, e)
	}
	return events
}

func TestFeedKeepsTheOrder(t *testing.T) {
	t.Parallel()
	f := kvstore.NewFeed(3)
	want := []kvstore.Event{put(1), put(2), put(3)}
	for _, e := range want {
		f.Send(e)
	}
	if diff := cmp.Diff(want, drain(f)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFeedCollapsesIntoOneResetWhenFull(t *testing.T) {
	t.Parallel()
	for _, size := range []int{-1, 0, 1, 2, 10} {
		f := kvstore.NewFeed(size)
		for i := range 100 {
			f.Send(put(uint64(i + 1)))
		}
		got := drain(f)
		resets := slices.IndexFunc(got, func(e kvstore.Event) bool { return e.Kind == kvstore.Reset })
		if resets != 0 || slices.Contains(got[1:], got[0]) {
			t.Errorf("size %d: got %v, want one reset and what followed it", size, got)
		}
		for i, e := range got[1:] { // nothing is missing behind the reset
			if want := put(uint64(100 - len(got) + 2 + i)); e != want {
				t.Errorf("size %d: got %v behind the reset, want %v", size, e, want)
			}
		}
	}
}

func TestFeedNeverBlocksAndNeverLosesUnsaid(t *testing.T) {
	t.Parallel()
	const senders, each = 4, 2000
	f := kvstore.NewFeed(8)
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for i := range each {
				f.Send(put(uint64(i)))
			}
		})
	}
	go func() {
		wg.Wait()
		f.Close()
	}()
	got, resets := 0, 0
	for e := range f.Events() {
		if e.Kind == kvstore.Reset {
			resets++
		} else {
			got++
		}
	}
	if got < senders*each && resets == 0 {
		t.Errorf("got %d of %d events and no reset", got, senders*each)
	}
	f.Send(put(1))
	f.Close()
}
