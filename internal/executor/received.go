package executor

import (
	"context"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/events"
)

// received turns each stored webhook into its lifecycle event, notes that it is
// stored, and hands it to the connector's handler. It reads the stream, so that
// the path between a provider's request and its 202 has one write and no more, and
// so that no crash can lose the event of a webhook that was acknowledged.
func (x *Executor) received(ctx context.Context, d *events.Delivery) error {
	tenant, connector, _, err := x.Bus.ParseWebhook(d.Subject)
	if err != nil {
		return events.Discard(err)
	}
	webhook, err := events.Decode(d.Header, d.Data)
	if err != nil {
		return events.Discard(err)
	}
	about := webhookAbout(tenant, connector, webhook)
	verified := events.Extension(webhook, events.ExtVerified) != "false"
	e := events.NewLifecycle(x.opts.Role, events.WebhookReceived, about, events.Data{
		Method: events.Extension(webhook, events.ExtMethod), Path: events.Extension(webhook, events.ExtPath), Verified: &verified,
	})
	// The id is derived, so that a second delivery announces nothing new.
	e.SetID(events.DerivedID(webhook.ID(), "received"))
	ctx = events.WithTrace(ctx, d.Header)
	opts := &events.PublishOptions{MsgID: tenant.Tokens() + "." + events.Token(connector) + "/received/" + webhook.ID()}
	announced, err := x.Bus.PublishAsync(ctx, x.Bus.Event(tenant, connector, events.WebhookReceived), e, opts)
	if err != nil {
		return err
	}
	if id := events.MessageID(d); id != "" && events.Extension(webhook, events.ExtReplayOf) == "" {
		// The ingress writes once; what outlives the stream's window is noted here.
		if err := x.Deliveries.Remember(ctx, id); err != nil {
			return err
		}
	}
	if _, err := announced.Wait(ctx); err != nil {
		return err
	}
	if err := x.expectMore(ctx, connection.NewRef(tenant, connector, about.Account)); err != nil {
		return err
	}
	return x.handleWebhook(ctx, d, webhook, about, d.Attempt)
}
