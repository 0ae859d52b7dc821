package executor

import (
	"context"

	"github.com/hawser-io/hawser/internal/natsmicro"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// The consumers of an executor. Those of a connector are shared by all executors that
// have it.

// newRequests are the requests to a connector in the order of their publication. This
// process takes up to twice as many as can run, so that they are not all of one tenant.
func (x *Executor) newRequests(connector string) events.Consumer {
	consumer := newRequests(x.queue, connector)
	consumer.Description, consumer.MaxConcurrent = "executors of "+connector, 2*x.opts.Concurrency
	return x.withDefaults(consumer)
}

// dueRequests are those that were parked. They run or are parked again, and hardly wait
// in this process.
func (x *Executor) dueRequests(connector string) events.Consumer {
	consumer := dueRequests(x.queue, connector)
	consumer.Description, consumer.MaxConcurrent = "executors of "+connector+", requests that were parked", 2*x.opts.Concurrency
	return x.withDefaults(consumer)
}

func (x *Executor) newWebhooks(connector string) events.Consumer {
	consumer := newWebhooks(x.queue, connector)
	consumer.Description, consumer.MaxConcurrent = "executors of "+connector+", webhooks", x.opts.Concurrency
	return x.withDefaults(consumer)
}

// dueWebhooks are those whose handler is called again.
func (x *Executor) dueWebhooks(connector string) events.Consumer {
	consumer := dueWebhooks(x.queue, connector)
	consumer.Description, consumer.MaxConcurrent = "executors of "+connector+", webhooks that were parked", x.opts.Concurrency
	return x.withDefaults(consumer)
}

// These are the same consumers without what is this process's own.

func newRequests(q *queue.Queue, connector string) events.Consumer {
	return events.Consumer{Name: "action-" + connector, Stream: events.Actions, Filter: q.Bus.Subjects.ActionFilter(connector)}
}

func dueRequests(q *queue.Queue, connector string) events.Consumer {
	return events.Consumer{Name: "due-" + connector, Stream: queue.Parked, Filter: q.Subjects.DueActionFilter(connector)}
}

func newWebhooks(q *queue.Queue, connector string) events.Consumer {
	return events.Consumer{Name: "webhook-" + connector, Stream: events.Webhooks, Filter: q.Bus.Subjects.WebhookFilter(connector)}
}

// No connector's key has an underscore, so no other consumer has the name.
func dueWebhooks(q *queue.Queue, connector string) events.Consumer {
	return events.Consumer{Name: "due_webhook-" + connector, Stream: queue.Parked, Filter: q.Subjects.DueWebhookFilter(connector)}
}

func inactivityTimers(q *queue.Queue) events.Consumer {
	return events.Consumer{Name: "silence", Stream: queue.Parked, Filter: q.Subjects.InactivityDue()}
}

func (x *Executor) withDefaults(c events.Consumer) events.Consumer {
	c.AckWait, c.OnError, c.Go = x.opts.AckWait, x.telemetry.problem, x.workers.run
	return c
}

// advisories are the server's notices about messages that were delivered as often as they
// may be.
func (x *Executor) advisories() events.Consumer {
	return events.Consumer{
		Name: "ran-out", Stream: queue.Advisories, Filter: "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
		Description: "messages that reached their maximum of deliveries", MaxConcurrent: 4, OnError: x.telemetry.problem,
	}
}

func (x *Executor) inactivityTimers() events.Consumer {
	consumer := inactivityTimers(x.queue)
	consumer.Description, consumer.MaxConcurrent, consumer.OnError = "connections that receive no webhooks", 8, x.telemetry.problem
	return consumer
}

// service answers calls, and validates configs of each connector that is served.
func (x *Executor) service() (natsmicro.Service, *validations) {
	v := &validations{added: make(chan natsmicro.Endpoint), known: map[string]bool{}}
	s := natsmicro.Service{
		Name: "hawser-executor", Version: "1.0.0", Description: "actions by request-reply", MaxConcurrent: maxCalls,
		Endpoints: []natsmicro.Endpoint{{Name: "call", Subject: x.queue.Bus.Subjects.Calls(), Handle: x.calls.answer}},
		Added:     v.added,
	}
	if x.subscribed != nil {
		s.Endpoints = append(s.Endpoints, x.subscribed.Endpoint())
	}
	for _, c := range x.served.all() {
		v.known[c.Key] = true
		s.Endpoints = append(s.Endpoints, x.validation(c.Key))
	}
	return s, v
}

// validations are the endpoints that validate configs. One cannot be removed: without its
// connector it answers CONNECTOR_NOT_FOUND.
type validations struct {
	added chan natsmicro.Endpoint
	known map[string]bool // by connector
}

// add serves the endpoint of a connector, if that is new.
func (v *validations) add(ctx context.Context, connector string, e natsmicro.Endpoint) {
	if v.known[connector] {
		return
	}
	v.known[connector] = true
	select {
	case v.added <- e:
	case <-ctx.Done():
	}
}

func (x *Executor) validation(connector string) natsmicro.Endpoint {
	return natsmicro.Endpoint{
		Name: "validate-" + connector, Subject: x.queue.Bus.Subjects.Validate(connector),
		Handle: func(ctx context.Context, ask natsmicro.Request) natsmicro.Reply {
			c, ok := x.served.get(connector)
			if !ok {
				return refuse(connectors.AsError(notRegistered(connector)))
			}
			return x.validator.answer(ctx, c, ask.Data)
		},
	}
}
