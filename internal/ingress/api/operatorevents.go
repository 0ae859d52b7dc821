package api

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/events"
)

// operatorEventTimeout bounds the wait for the stream's ack.
const operatorEventTimeout = 1500 * time.Millisecond

// operatorEvents publishes lifecycle events about what operators did.
type operatorEvents struct {
	bus *events.Bus
	log zerolog.Logger
}

// publish announces what an operator did. What was done stands whether or not the
// announcement gets out.
func (o *operatorEvents) publish(ctx context.Context, kind events.Kind, about events.EventContext, operation string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), operatorEventTimeout)
	defer cancel()
	e := events.NewLifecycle("ingress", kind, about, events.Data{Operation: operation, Actor: connection.Actor(ctx)})
	if _, err := o.bus.Publish(ctx, o.bus.Subjects.Event(about.Tenant, about.Connector, kind), e, nil); err != nil {
		o.log.Warn().Err(err).Str("operation", operation).Msg("an operator's action was not announced")
	}
}
