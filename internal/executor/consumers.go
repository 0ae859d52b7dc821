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
func (x *Executor) newRequests(c *connectors.Connector) events.Consumer {
	return x.consumer(events.Consumer{
		Name: "action-" + c.Key, Stream: events.Actions, Filter: x.queue.Bus.Subjects.ActionFilter(c.Key),
		Description: "executors of " + c.Key, MaxConcurrent: 2 * x.opts.Concurrency,
	})
}

// dueRequests are those that were parked. They run or are parked again, and hardly wait
// in this process.
func (x *Executor) dueRequests(c *connectors.Connector) events.Consumer {
	return x.consumer(events.Consumer{
		Name: "due-" + c.Key, Stream: queue.Parked, Filter: x.queue.Subjects.DueActionFilter(c.Key),
		Description: "executors of " + c.Key + ", requests that were parked", MaxConcurrent: 2 * x.opts.Concurrency,
	})
}

func (x *Executor) newWebhooks(c *connectors.Connector) events.Consumer {
	return x.consumer(events.Consumer{
		Name: "webhook-" + c.Key, Stream: events.Webhooks, Filter: x.queue.Bus.Subjects.WebhookFilter(c.Key),
		Description: "executors of " + c.Key + ", webhooks", MaxConcurrent: x.opts.Concurrency,
	})
}

// dueWebhooks are those whose handler is called again. No connector's key has an
// underscore, so no other consumer has the name.
func (x *Executor) dueWebhooks(c *connectors.Connector) events.Consumer {
	return x.consumer(events.Consumer{
		Name: "due_webhook-" + c.Key, Stream: queue.Parked, Filter: x.queue.Subjects.DueWebhookFilter(c.Key),
		Description: "executors of " + c.Key + ", webhooks that were parked", MaxConcurrent: x.opts.Concurrency,
	})
}

func (x *Executor) consumer(c events.Consumer) events.Consumer {
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
	return events.Consumer{
		Name: "silence", Stream: queue.Parked, Filter: x.queue.Subjects.InactivityDue(),
		Description: "connections that receive no webhooks", MaxConcurrent: 8, OnError: x.telemetry.problem,
	}
}

// service answers calls, and validates configs of each connector.
func (x *Executor) service() natsmicro.Service {
	s := natsmicro.Service{
		Name: "hawser-executor", Version: "1.0.0", Description: "actions by request-reply", MaxConcurrent: maxCalls,
		Endpoints: []natsmicro.Endpoint{{Name: "call", Subject: x.queue.Bus.Subjects.Calls(), Handle: x.calls.answer}},
	}
	for _, c := range x.registry.All() {
		s.Endpoints = append(s.Endpoints, natsmicro.Endpoint{
			Name: "validate-" + c.Key, Subject: x.queue.Bus.Subjects.Validate(c.Key),
			Handle: func(ctx context.Context, ask natsmicro.Request) natsmicro.Reply {
				return x.validator.answer(ctx, c, ask.Data)
			},
		})
	}
	return s
}
