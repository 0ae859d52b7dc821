package events_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

// webhookEvent is an event of the size and shape of the webhook's hot path.
func webhookEvent(body []byte) *events.Message {
	about := events.EventContext{
		Tenant: events.Tenant{Scope: "organization", Identity: "ava@example.com"}, Connector: "demo-key",
		Account: "default", ConnectionID: "0199e3a0-7c1d-7b5e-9a52-4b1f5f3c2d10",
	}
	e := events.New("ingress", "hawser.webhook.message.created", about, body)
	e.SetExtension(events.ExtMethod, "POST")
	e.SetExtension(events.ExtPath, "/api/v1/connectors/demo-key/webhook/***")
	e.SetExtension(events.ExtDelivery, "0f5c1f58-5f0a-4f0e-8f6e-0c7a7b1a2c3d")
	return e
}

func BenchmarkNew(b *testing.B) {
	body := make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		webhookEvent(body)
	}
}

func BenchmarkDecode(b *testing.B) {
	m := webhookEvent(make([]byte, 1024))
	m.SetExtension(events.ExtTraceParent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := events.Decode(m.Header, m.Data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadAction(b *testing.B) {
	names, err := events.NewSubjects("")
	if err != nil {
		b.Fatal(err)
	}
	a := events.Action{ActionRef: events.ActionRef{Tenant: events.Tenant{Scope: "organization", Identity: "ava@example.com"}, Connector: "demo-key", Action: "postMessage"}, ID: events.NewID()}
	d := &events.StoredMessage{Subject: names.Action(a.ActionRef), Header: a.Message().Header, Data: []byte(`{"text":"hello"}`)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := names.ReadAction(d); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPublish publishes webhooks and waits for each one's ack, as HTTP
// handlers do: 1 at a time, and 64 at a time.
func BenchmarkPublish(b *testing.B) {
	for _, publishers := range []int{1, 64} {
		b.Run(fmt.Sprintf("publishers=%d", publishers), func(b *testing.B) {
			q := benchBus(b)
			body := make([]byte, 1024)
			tenant := events.Tenant{Scope: "organization", Identity: "ava@example.com"}
			ctx := events.EnsureTrace(b.Context())
			b.ResetTimer()
			b.ReportAllocs()
			var next atomic.Int64
			var running sync.WaitGroup
			for range publishers {
				running.Go(func() {
					for next.Add(1) <= int64(b.N) {
						e := webhookEvent(body)
						if _, err := q.Bus.Publish(ctx, q.Bus.Subjects.Webhook(tenant, "demo-key", "message.created", e.ID()), e, &events.PublishOptions{ExpectEmpty: true}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			running.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
		})
	}
}

func BenchmarkConsume(b *testing.B) {
	q := benchBus(b)
	ref := events.ActionRef{Tenant: events.Tenant{Scope: "organization", Identity: "ava"}, Connector: "demo-key", Action: "postMessage"}
	var pending []*events.AckFuture
	for i := range b.N {
		a := events.Action{ActionRef: ref, ID: fmt.Sprint(i), Input: []byte(`{"text":"hello"}`)}
		p, err := q.Bus.PublishAsync(b.Context(), q.Bus.Subjects.Action(ref), a.Message(), nil)
		if err != nil {
			b.Fatal(err)
		}
		if pending = append(pending, p); len(pending) == 1024 {
			awaitAll(b, pending)
			pending = pending[:0]
		}
	}
	awaitAll(b, pending)
	ctx, stop := context.WithCancel(b.Context())
	var seen atomic.Int64
	all := make(chan struct{})
	c := events.Consumer{Name: "bench", Stream: events.Actions, Filter: q.Bus.Subjects.ActionFilter("demo-key"), MaxConcurrent: 64}
	var consuming sync.WaitGroup
	b.ResetTimer()
	b.ReportAllocs()
	consuming.Go(func() {
		_ = q.Bus.Consume(ctx, b.Context(), c, func(context.Context, *events.StoredMessage) error {
			if seen.Add(1) == int64(b.N) {
				close(all)
			}
			return nil
		})
	})
	<-all
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
	stop()
	consuming.Wait()
}

func awaitAll(b *testing.B, pending []*events.AckFuture) {
	b.Helper()
	for _, p := range pending {
		if _, err := p.Wait(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func benchBus(b *testing.B) *queue.Queue {
	b.Helper()
	nc := testenv.Start(b, nil).Conn(b, nats.ReconnectBufSize(-1))
	q, err := queue.New(nc, nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := q.Ensure(b.Context(), queue.Topology{}); err != nil {
		b.Fatal(err)
	}
	return q
}
