package natskv

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

// watcher follows a filter until it is stopped. It runs one goroutine, which
// owns one follower at a time:
//
//	follow ──► pump ──(reconnected, silent, gap)──► follow again ──► Reset ──► pump …
//	             └──(stopped, connection closed)──► end
//
// Reset comes after the new follower is in place: whatever is read from then on
// is followed.
type watcher struct {
	store  *Store
	filter string
	feed   *kvstore.Feed
	status chan nats.Status // of the connection: connected again, or closed
	cancel context.CancelFunc
	done   chan struct{} // closed when the goroutine has ended
}

// Watch implements [kvstore.Store]. Beside slow readers, [kvstore.Reset] comes
// after a reconnect, and when the server has dropped or lost the watch.
func (s *Store) Watch(ctx context.Context, filter string) (kvstore.Watcher, error) {
	if err := kvstore.CheckFilter(filter); err != nil {
		return nil, s.wrap("watch", filter, err)
	}
	// Before the first follower, or a reconnect in between would be missed.
	status := s.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	setup, release := s.bound(ctx)
	defer release()
	f, err := s.follow(setup, filter)
	if err != nil {
		s.nc.RemoveStatusListener(status)
		return nil, s.wrap("watch", filter, unavailable(err))
	}
	w := &watcher{
		store: s, filter: filter, feed: kvstore.NewFeed(s.buffer),
		status: status, done: make(chan struct{}),
	}
	var life context.Context
	life, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go w.run(life, f)
	return w, nil
}

// Events implements [kvstore.Watcher].
func (w *watcher) Events() <-chan kvstore.Event { return w.feed.Events() }

// Stop implements [kvstore.Watcher].
func (w *watcher) Stop() {
	w.cancel()
	<-w.done
}

func (w *watcher) run(ctx context.Context, f *follower) {
	defer close(w.done)
	defer w.feed.Close()
	defer w.store.nc.RemoveStatusListener(w.status)
	for f != nil {
		again := w.pump(ctx, f)
		f.close()
		if !again {
			return
		}
		if f = w.refollow(ctx); f != nil {
			w.feed.Send(kvstore.Event{Kind: kvstore.Reset})
		}
	}
}

// pump moves events from f to the feed. It returns true when f can no longer
// be trusted, and false when the watch is over.
func (w *watcher) pump(ctx context.Context, f *follower) bool {
	inactivity := 3 * w.store.heartbeat
	timer := time.NewTimer(inactivity)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case status := <-w.status:
			return status != nats.CLOSED // connected again: what was sent meanwhile is lost
		case <-timer.C:
			return true
		case m := <-f.messages:
			timer.Reset(inactivity)
			event, ok := f.event(m)
			if !ok {
				return true
			}
			if event.Kind != 0 {
				w.feed.Send(event)
			}
		}
	}
}

// refollow sets the watch up anew, however long that takes. It returns nil when
// the watch is over.
func (w *watcher) refollow(ctx context.Context) *follower {
	for wait := 100 * time.Millisecond; !w.store.nc.IsClosed(); wait = min(2*wait, 2*time.Second) {
		attempt, cancel := context.WithTimeout(ctx, w.store.timeout)
		f, err := w.store.follow(attempt, w.filter)
		cancel()
		if err == nil {
			return f
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-w.status: // connected: worth trying at once; closed: seen above
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
	return nil
}

// follower is one consumer on the server that pushes the headers of what is
// written from now on. Without interest in its subject it goes away by itself.
type follower struct {
	*inbox
	prefix    string
	delivered uint64 // consumer sequence of the last message
}

func (s *Store) follow(ctx context.Context, filter string) (*follower, error) {
	in, err := newInbox(s.nc, s.buffer)
	if err != nil {
		return nil, err
	}
	f := &follower{inbox: in, prefix: s.prefix}
	_, err = s.js.CreatePushConsumer(ctx, s.name, jetstream.ConsumerConfig{
		FilterSubject:  s.prefix + filter,
		DeliverSubject: f.subject(),
		DeliverPolicy:  jetstream.DeliverNewPolicy,
		AckPolicy:      jetstream.AckNonePolicy,
		HeadersOnly:    true,
		IdleHeartbeat:  s.heartbeat,
		MemoryStorage:  true,
		Replicas:       1,
	})
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// event reads one message: a change, or a heartbeat (Kind 0). ok is false when
// a message before it is missing.
func (f *follower) event(m *nats.Msg) (e kvstore.Event, ok bool) {
	if m.Header.Get("Status") != "" && !strings.HasPrefix(m.Subject, f.prefix) {
		last := m.Header.Get("Nats-Last-Consumer")
		return kvstore.Event{}, last == "" || last == strconv.FormatUint(f.delivered, 10)
	}
	meta, err := m.Metadata()
	f.delivered++
	if err != nil || meta.Sequence.Consumer != f.delivered {
		return kvstore.Event{}, false
	}
	e = kvstore.Event{
		Kind: kvstore.Put, Key: strings.TrimPrefix(m.Subject, f.prefix), Revision: meta.Sequence.Stream,
	}
	if marker(m.Header) {
		e.Kind = kvstore.Deleted
	}
	return e, true
}
