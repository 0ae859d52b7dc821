package client_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/client"
	"github.com/hawser-io/hawser/pkg/events"
)

// waitLimit is for machines that test and do much else.
const waitLimit = 30 * time.Second

// world is the streams alone: what programs would publish, the test does.
type world struct {
	*testenv.Env
	nc    *nats.Conn
	queue *queue.Queue
	bus   *events.Bus
}

func newWorld(t testing.TB) *world {
	t.Helper()
	env := testenv.Start(t, nil)
	w := &world{Env: env, nc: env.Conn(t)}
	var err error
	if w.queue, err = queue.New(w.nc, &queue.Options{PublishTimeout: waitLimit}); err != nil {
		t.Fatal(err)
	}
	w.bus = w.queue.Bus
	if _, err := w.queue.Ensure(t.Context(), queue.Topology{}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) client(t testing.TB, opts *client.Options) *client.Client {
	t.Helper()
	return newClient(t, w.Conn(t), opts)
}

func about(identity string) events.EventContext {
	return events.EventContext{Tenant: events.Tenant{Scope: "organization", Identity: identity}, Connector: "echo", Account: "default"}
}

func (w *world) publish(t *testing.T, subject string, e *events.Message) (id string) {
	t.Helper()
	if _, err := w.bus.Publish(t.Context(), subject, e, nil); err != nil {
		t.Fatal(err)
	}
	return e.ID()
}

// announce publishes a lifecycle event of a tenant and returns its id.
func (w *world) announce(t *testing.T, kind events.Kind, identity string) (id string) {
	t.Helper()
	a := about(identity)
	return w.publish(t, w.bus.Subjects.Event(a.Tenant, a.Connector, kind), events.NewLifecycle("test", kind, a, events.Data{}))
}

// webhook publishes a webhook of a tenant and returns its id.
func (w *world) webhook(t *testing.T, identity, eventType string) (id string) {
	t.Helper()
	a := about(identity)
	return w.publish(t, w.bus.Subjects.Webhook(a.Tenant, a.Connector, eventType, events.NewID()), events.New("test", "hawser.webhook."+eventType, a, []byte(`{}`)))
}

// result publishes the result of a request for say and returns its id.
func (w *world) result(t *testing.T, identity, requestID string, kind events.Kind) (id string) {
	t.Helper()
	a := about(identity)
	a.RequestID = requestID
	ref := events.ActionRef{Tenant: a.Tenant, Connector: "echo", Action: "say"}
	return w.publish(t, w.bus.Subjects.Result(ref, requestID), events.New("test", kind.Type(), a, []byte(`{"data":{"text":"`+requestID+`"}}`)))
}

// requests hears the requests for echo, as they pass.
func (w *world) requests(t *testing.T, handle func(*events.Action) error) {
	t.Helper()
	_, err := w.nc.Subscribe(w.bus.Subjects.ActionFilter("echo"), func(msg *nats.Msg) {
		a, err := w.queue.Subjects.ReadAction(&events.StoredMessage{Subject: msg.Subject, Header: msg.Header, Data: msg.Data})
		if err == nil {
			err = handle(&a)
		}
		if err != nil {
			t.Error(err)
		}
	})
	if err == nil {
		err = w.nc.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
}
