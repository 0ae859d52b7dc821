package app

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/events"
)

// BenchmarkAction: a request is published with an ack, and its result received.
// The floor moves the same messages with nothing in between: publish, consume,
// publish the result with an ack, acknowledge, receive.
func BenchmarkAction(b *testing.B) {
	s := newSystem(b, "10m", roles{executor: true})
	raw := newLoop(b, s, "raw.action.x", "raw.result.")
	own := newLoop(b, s, s.queue.Bus.Subjects.Action(events.ActionRef{Tenant: s.tenant, Connector: "bench", Action: "echo"}),
		strings.TrimSuffix(s.queue.Bus.Subjects.Result(events.ActionRef{Tenant: s.tenant, Connector: "bench", Action: "echo"}, "x"), "x"))
	raw.consume(b)

	b.Run("one-at-a-time", func(b *testing.B) {
		f, h, ratio := inTurns(5, func() float64 { return raw.p50(b) }, func() float64 { return own.p50(b) })
		b.ReportMetric(h, "µs-p50")
		b.ReportMetric(ratio, "ratio")
		report(row{"action round trip, p50", fmt.Sprintf("%.0f µs", f), fmt.Sprintf("%.0f µs", h), fmt.Sprintf("%.2f", ratio), "≤ 2.5"})
	})
	b.Run("64-in-flight", func(b *testing.B) {
		f, h, ratio := inTurns(turns,
			func() float64 { return perSecond(b, 64, turn, raw.trip) },
			func() float64 { return perSecond(b, 64, turn, own.trip) })
		b.ReportMetric(h, "req/s")
		b.ReportMetric(ratio, "ratio")
		report(row{"actions, 64 in flight", rate(f), rate(h), fmt.Sprintf("%.2f", ratio), "≥ 0.4"})
	})
}

// loop publishes requests and gives each caller its result.
type loop struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	subject string
	result  string // prefix of the results' subjects

	mu      sync.Mutex
	next    int
	waiting map[string]chan struct{} // request id → caller
}

func newLoop(b *testing.B, s *system, subject, result string) *loop {
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
	l := &loop{nc: nc, js: js, subject: subject, result: result, waiting: map[string]chan struct{}{}}
	if _, err := nc.Subscribe(result+">", func(m *nats.Msg) {
		l.mu.Lock()
		defer l.mu.Unlock()
		id := strings.TrimPrefix(m.Subject, result)
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
func (l *loop) trip(int, int) error {
	l.mu.Lock()
	l.next++
	id := strconv.Itoa(l.next)
	done := make(chan struct{})
	l.waiting[id] = done
	l.mu.Unlock()
	// As pkg/client sends a call: the id is made for it.
	header := events.Action{ID: id, GeneratedID: true}.Message().Header
	msg := &nats.Msg{Subject: l.subject, Data: []byte(`{"text":"hello"}`), Header: header}
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

// p50 is the median round trip in microseconds, one at a time.
func (l *loop) p50(b *testing.B) float64 {
	b.Helper()
	took := make([]time.Duration, 0, 2000)
	for range cap(took) {
		began := time.Now()
		if err := l.trip(0, 0); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return float64(took[len(took)/2].Microseconds())
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
	result := events.New("executor", events.ActionCompleted.Type(), about, []byte(`{"data":{"text":"hello"}}`))
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
