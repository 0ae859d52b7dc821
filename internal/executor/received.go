package executor

import (
	"context"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/events"
)

// received turns each stored webhook into its lifecycle event and hands it to the
// connector's handler. It reads the stream, so that
// the path between a provider's request and its 202 has one write and no more, and
// so that no crash can lose the event of a webhook that was acknowledged.
func (x *Executor) received(ctx context.Context, d *events.Delivery) error {
	ref, err := x.Bus.ParseWebhook(d.Subject)
	if err != nil {
		return events.Discard(err)
	}
	webhook, err := events.Decode(d.Header, d.Data)
	if err != nil {
		return events.Discard(err)
	}
	about := webhookAbout(ref, webhook)
	verified := events.Extension(webhook, events.ExtVerified) != "false"
	e := events.NewLifecycle(x.opts.Role, events.WebhookReceived, about, events.Data{
		Method: events.Extension(webhook, events.ExtMethod), Path: events.Extension(webhook, events.ExtPath), Verified: &verified,
	})
	// The id is derived, so that a second delivery announces nothing new.
	e.SetID(events.DerivedID(webhook.ID(), "received"))
	ctx = events.WithTrace(ctx, d.Header)
	opts := &events.PublishOptions{MsgID: ref.Tokens() + "." + events.Token(ref.Connector) + "/received/" + webhook.ID()}
	announced, err := x.Bus.PublishAsync(ctx, x.Bus.Event(ref.Tenant, ref.Connector, events.WebhookReceived), e, opts)
	if err != nil {
		return err
	}
	if _, err := announced.Wait(ctx); err != nil {
		return err
	}
	if err := x.expectMore(ctx, connection.NewRef(ref.Tenant, ref.Connector, about.Account)); err != nil {
		return err
	}
	return x.handleWebhook(ctx, d, webhook, about, d.Attempt)
}
