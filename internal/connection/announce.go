package connection

import (
	"context"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/events"
)

type actorKey struct{}

// WithActor names the API token on whose behalf the work under ctx is done, for the events about it.
// name is the token's name, never the token.
func WithActor(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, actorKey{}, name)
}

// Actor returns the name given to [WithActor], or "".
func Actor(ctx context.Context) string {
	name, _ := ctx.Value(actorKey{}).(string)
	return name
}

const (
	announceTimeout  = 5 * time.Second
	announceAttempts = 3
)

// announcer publishes lifecycle events about connections.
type announcer struct {
	bus     *events.Bus
	role    string
	onError func(error)
}

// announce publishes an event about a change that is stored. The change stands whether or not the event is
// published, so a failure is reported, not returned.
func (a *announcer) announce(ctx context.Context, kind events.Kind, c *records.Connection, data events.Data) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceTimeout)
	defer cancel()
	data.Actor = Actor(ctx)
	e := events.NewLifecycle(a.role, kind, c.About(), data)
	subject := a.bus.Subjects.Event(c.Ref().Tenant, c.Connector, kind)
	var err error
	for range announceAttempts {
		if _, err = a.bus.Publish(ctx, subject, e, &events.PublishOptions{MsgID: e.ID()}); err == nil {
			return
		}
	}
	a.onError(err)
}
