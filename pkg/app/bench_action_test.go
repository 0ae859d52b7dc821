package app

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/events"
)

// BenchmarkAction: 64 requests in flight, each published with an ack, and its result
// received. The floor moves the same messages with nothing in between: publish, consume,
// publish the result with an ack, acknowledge, receive.
func BenchmarkAction(b *testing.B) {
	for _, c := range []struct {
		name, notifications string
		bytes               int
		goal                string
	}{
		{"action", "on", 16, "≥ 0.45"},
		{"action, no notifications", "off", 16, "≥ 0.5"},
		{"action of 1 KB in and out", "on", 1024, ""},
	} {
		b.Run(strings.ReplaceAll(c.name, ", ", "/"), func(b *testing.B) {
			s := newSystem(b, systemOptions{roles: roles{executor: true}, notifications: c.notifications})
			ref, text := events.ActionRef{Tenant: s.tenant, Connector: "bench", Action: "echo"}, strings.Repeat("x", c.bytes-11)
			subjects := s.queue.Bus.Subjects
			raw := newLoop(b, s, &loop{subject: "raw.action.x", result: "raw.result.", text: text})
			own := newLoop(b, s, &loop{subject: subjects.Action(ref), result: strings.TrimSuffix(subjects.Result(ref, "x"), "x"), text: text})
			raw.consume(b)
			compare(b, c.name, c.goal,
				func() sample { return load(b, 64, turn, raw.trip, nil) },
				func() sample { return load(b, 64, turn, own.trip, func() { s.drain(b, events.Actions) }) })
		})
	}
}

// loop publishes requests and gives each caller its result.
type loop struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	subject string
	result  string // prefix of the results' subjects
	text    string // of each request and result

	mu      sync.Mutex
	next    int
	waiting map[string]chan struct{} // request id → caller
}

func newLoop(b *testing.B, s *system, l *loop) *loop {
	b.Helper()
	nc, err := s.env.Server().Connect(nats.Timeout(30 * time.Second))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(30*time.Second))
	if err != nil {
		b.Fatal(err)
	}
	l.nc, l.js, l.waiting = nc, js, map[string]chan struct{}{}
	if _, err := nc.Subscribe(l.result+">", func(m *nats.Msg) {
		l.mu.Lock()
		defer l.mu.Unlock()
		id := strings.TrimPrefix(m.Subject, l.result)
		if c, ok := l.waiting[id]; ok {
			delete(l.waiting, id)
			close(c)
		}
	}); err != nil {
		b.Fatal(err)
	}
	return l
}

// trip is one round trip.
func (l *loop) trip() error {
	l.mu.Lock()
	l.next++
	id := strconv.Itoa(l.next)
	done := make(chan struct{})
	l.waiting[id] = done
	l.mu.Unlock()
	// As pkg/client sends a call: the id is made for it.
	header := events.Action{ID: id, GeneratedID: true}.Message().Header
	msg := &nats.Msg{Subject: l.subject, Data: []byte(`{"text":"` + l.text + `"}`), Header: header}
	future, err := l.js.PublishMsgAsync(msg)
	if err != nil {
		return err
	}
	select {
	case <-future.Ok():
	case err := <-future.Err():
		return err
	}
	select {
	case <-done:
		return nil
	case <-time.After(20 * time.Second):
		return fmt.Errorf("no result of %s on %s", id, l.result)
	}
}

// consume is the other half of the floor.
func (l *loop) consume(b *testing.B) {
	b.Helper()
	for name, config := range map[string]jetstream.StreamConfig{
		"RAWACTIONS": {Subjects: []string{"raw.action.>"}, Retention: jetstream.WorkQueuePolicy},
		"RAWRESULTS": {Subjects: []string{"raw.result.>"}},
	} {
		config.Name = name
		if _, err := l.js.CreateStream(b.Context(), config); err != nil {
			b.Fatal(err)
		}
	}
	consumer, err := l.js.CreateConsumer(b.Context(), "RAWACTIONS", jetstream.ConsumerConfig{Durable: "raw", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		b.Fatal(err)
	}
	about := events.EventContext{Tenant: events.Tenant{Scope: "organization", Identity: "org_1"}, Connector: "bench", Account: "default", ConnectionID: events.NewID(), RequestID: "1"}
	result := events.New("executor", events.ActionCompleted.Type(), about, []byte(`{"data":{"text":"`+l.text+`"}}`))
	result.SetExtension(events.ExtTraceParent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	running, err := consumer.Consume(func(msg jetstream.Msg) {
		go func() {
			future, err := l.js.PublishMsgAsync(&nats.Msg{Subject: l.result + msg.Headers().Get("ce-id"), Header: result.Header, Data: result.Data})
			if err != nil {
				return
			}
			select {
			case <-future.Ok():
				_ = msg.Ack()
			case <-future.Err():
			}
		}()
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(running.Stop)
}
