package events_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/hawser-io/hawser/internal/embedded"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/events"
)

// A program publishes a lifecycle event, and another one consumes it.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	bus, stop := exampleBus(ctx)
	defer stop()

	tenant := events.Tenant{Scope: "organization", Identity: "ava@example.com"}
	e := events.NewLifecycle("ingress", events.ConnectorConnected,
		events.EventContext{Tenant: tenant, Connector: "demo-key", Account: "default"}, events.Data{Operation: "connect"})
	subject := bus.Subjects.Event(tenant, "demo-key", events.ConnectorConnected)
	if _, err := bus.Publish(ctx, subject, e, nil); err != nil {
		log.Fatal(err) // not stored, or nobody knows: try again
	}

	taking, enough := context.WithCancel(ctx)
	consumer := events.Consumer{Name: "example", Stream: events.Lifecycle, Filter: "hawser.event.>"}
	err := bus.Consume(taking, ctx, consumer, func(_ context.Context, d *events.StoredMessage) error {
		defer enough()
		e, err := events.Decode(d.Header, d.Data)
		if err != nil {
			return events.Discard(err) // it will not become an event by being read again
		}
		fmt.Println(d.Subject)
		fmt.Println(e.Type(), "about", e.Subject())
		return nil // acknowledged
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// hawser.event.organization.ava=40example=2Ecom.demo-key.connector.connected
	// hawser.connector.connected about organization/ava@example.com/demo-key
}

// A program asks for an action and waits for its result, which an executor
// publishes. The request's id makes a repetition harmless.
func ExampleBus_RequestAction() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	bus, stop := exampleBus(ctx)
	defer stop()

	request := events.Action{
		ActionRef: events.ActionRef{Tenant: events.Tenant{Scope: "user", Identity: "7"}, Connector: "demo-key", Action: "postMessage"},
		ID:        "order 7", Input: []byte(`{"text":"hello"}`),
	}
	taking, enough := context.WithCancel(ctx)
	executor := make(chan error)
	go func() {
		consumer := events.Consumer{Name: "executor", Stream: events.Actions, Filter: bus.Subjects.ActionFilter("demo-key")}
		executor <- bus.Consume(taking, ctx, consumer, func(ctx context.Context, d *events.StoredMessage) error {
			a, err := bus.Subjects.ReadAction(d)
			if err != nil {
				return events.Discard(err)
			}
			result := events.New("executor", events.ActionCompleted.Type(), a.Context(), []byte(`{"data":{"echo":`+string(a.Input)+`}}`))
			return bus.PublishResult(ctx, a, result)
		})
	}()

	result, err := bus.RequestAction(ctx, request)
	if err != nil {
		log.Fatal(err) // events.ErrPending: it goes on, and StoredResult finds the result later
	}
	fmt.Println(result.Type())
	fmt.Println(string(result.Data()))
	enough()
	if err := <-executor; err != nil {
		log.Fatal(err)
	}
	// Output:
	// hawser.action.completed
	// {"data":{"echo":{"text":"hello"}}}
}

// exampleBus is a bus on a server of its own; programs connect to theirs with
// nats.Connect(url, events.ConnectOptions(name)...).
func exampleBus(ctx context.Context) (*events.Bus, func()) {
	dir, err := os.MkdirTemp("", "hawser-example-")
	if err != nil {
		log.Fatal(err)
	}
	server, err := embedded.Start(ctx, embedded.Options{DataDir: dir, Listen: "off", Sync: "5s"})
	if err != nil {
		log.Fatal(err)
	}
	nc, err := server.Connect(events.ConnectOptions("example")...)
	if err != nil {
		log.Fatal(err)
	}
	q, err := queue.New(nc, nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := q.Ensure(ctx, queue.Topology{}); err != nil {
		log.Fatal(err)
	}
	return q.Bus, func() {
		nc.Close()
		_ = server.Shutdown(context.WithoutCancel(ctx))
		_ = os.RemoveAll(dir)
	}
}
