package executor

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// handling is one attempt at a stored webhook by its connector's handler:
//
//	webhook.received → handler → done: webhook.processed
//	                     │ failed, attempts left: parked, comes again as due
//	                     └ given up: dead letter, webhook.failed
type handling struct {
	*Executor
	connector *connectors.Connector
	webhook   *events.Delivery // as the stream keeps it
	event     events.Event
	about     events.About
	attempt   int // this one, from 1
	began     time.Time
	log       zerolog.Logger
}

// dueWebhook takes a webhook whose time has come again, or that was redriven.
func (x *Executor) dueWebhook(ctx context.Context, due *events.Delivery) error {
	original, err := x.Bus.DueWebhook(ctx, due)
	if errors.Is(err, events.ErrNotFound) {
		// Its retention is over, and its bytes with it.
		return events.Discard(err)
	}
	if errors.Is(err, events.ErrSubject) {
		return events.Discard(err)
	}
	if err != nil {
		return err
	}
	ref, err := x.Bus.ParseWebhook(original.Subject)
	if err != nil {
		return events.Discard(err)
	}
	event, err := events.Decode(original.Header, original.Data)
	if err != nil {
		return events.Discard(err)
	}
	return x.handleWebhook(ctx, original, event, webhookAbout(ref, event), events.Attempts(due)+due.Attempt)
}

func webhookAbout(ref events.WebhookSubject, event events.Event) events.About {
	return events.About{
		Tenant: ref.Tenant, Connector: ref.Connector, Account: events.Extension(event, events.ExtAccount),
		ConnectionID: events.Extension(event, events.ExtConnection), RequestID: event.ID(),
	}
}

// handleWebhook runs the handler, if the connector has one. It returns nil when
// the outcome is stored; any other answer has the webhook delivered again.
func (x *Executor) handleWebhook(ctx context.Context, d *events.Delivery, event events.Event, about events.About, attempt int) error {
	c, ok := x.Registry.Get(about.Connector)
	if !ok || c.Webhook == nil || c.Webhook.Handler == nil {
		x.Status.Webhook(connection.NewRef(about.Tenant, about.Connector, about.Account), "")
		return nil
	}
	ctx = events.EnsureTrace(events.WithTrace(ctx, d.Header))
	h := &handling{Executor: x, connector: c, webhook: d, event: event, about: about, attempt: attempt, began: time.Now()}
	h.log = x.log.With().Str("webhook_id", event.ID()).Str("trace_id", events.TraceID(ctx)).Str("connector", c.Key).Int("attempt", attempt).Logger()
	return h.conclude(ctx, h.run(ctx))
}

// run calls the handler. Every error has a code.
func (h *handling) run(ctx context.Context) error {
	conn, err := h.Store.Get(ctx, h.ref())
	if err != nil {
		return err
	}
	if err := conn.Usable(); err != nil {
		return connectors.Permanent(err)
	}
	body, err := h.Bus.Body(ctx, h.webhook)
	if errors.Is(err, events.ErrNotFound) {
		return connectors.Permanent(connectors.Errorf(connectors.CodeInternal, "the body of the webhook is no longer kept"))
	}
	if err != nil {
		return err
	}
	config, err := h.Store.ConfigInUse(conn)
	if err != nil {
		return err
	}
	call := &connectors.Call{
		Scope: h.about.Scope, Identity: h.about.Identity, Connector: h.connector.Key, Account: h.ref().Account,
		ConnectionID: conn.ID, RequestID: h.event.ID(), Attempt: h.attempt, IdempotencyKey: h.event.ID(),
	}
	prepare, cancel := context.WithTimeout(ctx, h.connector.Webhook.TimeLimit())
	defer cancel()
	if err := h.equip(prepare, h.connector, call, config, conn, h.HTTP.Transport); err != nil {
		return err
	}
	if err := h.context(prepare, h.connector, call); err != nil {
		return err
	}
	return h.call(ctx, call, h.delivery(body))
}

func (h *handling) ref() connection.Ref {
	return connection.NewRef(h.about.Tenant, h.about.Connector, h.about.Account)
}

// call runs the handler under its time limit. One that does not heed its context
// is left behind, and what it returns later is thrown away.
func (h *handling) call(ctx context.Context, call *connectors.Call, d *connectors.Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, h.connector.Webhook.TimeLimit())
	defer cancel()
	h.metrics.running.Inc()
	_, err := h.within(ctx, func() (json.RawMessage, error) {
		defer h.metrics.running.Dec()
		return nil, h.connector.Webhook.Handle(ctx, call, d)
	})
	return err
}

func (h *handling) delivery(body []byte) *connectors.Delivery {
	header := http.Header{}
	for name, values := range h.webhook.Header {
		if lower := strings.ToLower(name); !strings.HasPrefix(lower, "ce-") && !strings.HasPrefix(lower, "nats-") && !strings.HasPrefix(lower, "hawser-") {
			header[textproto.CanonicalMIMEHeaderKey(name)] = values
		}
	}
	d := &connectors.Delivery{
		ID: h.event.ID(), ProviderID: events.Extension(h.event, events.ExtDelivery), Type: strings.TrimPrefix(h.event.Type(), "hawser.webhook."),
		Method: events.Extension(h.event, events.ExtMethod), Header: header, Body: body, Received: h.event.Time(),
		ReplayOf: events.Extension(h.event, events.ExtReplayOf),
	}
	d.Payload = webhook.PayloadOf(&h.connector.Webhook.Descriptor, webhook.Request{Header: header, Body: body})
	return d
}

// conclude stores the outcome: processed, parked, or dead.
func (h *handling) conclude(ctx context.Context, failure error) error {
	if failure == nil {
		return h.report(ctx, events.WebhookProcessed, nil)
	}
	e := connectors.AsError(failure)
	if e.Code == connectors.CodeConnectorDatabaseFailed && connectors.IsRetryable(failure) {
		return failure // our own trouble: neither parked nor dead
	}
	if connectors.IsRetryable(failure) && h.attempt < h.connector.Webhook.AttemptLimit() {
		next := time.Now().Add(retryDelay(failure, h.attempt))
		if err := h.Bus.ParkWebhook(ctx, h.webhook, h.event.ID(), h.attempt, next); err != nil {
			return err
		}
		h.Status.Webhook(h.ref(), string(e.Code))
		h.metrics.deliveries.WithLabelValues(h.connector.Key, "retrying").Inc()
		h.log.Info().Str("outcome", "retrying").Str("code", string(e.Code)).Time("next", next).Msg("webhook")
		return nil
	}
	if err := h.Bus.BuryWebhook(ctx, h.webhook, h.event.ID(), h.attempt, string(e.Code)); err != nil {
		return err
	}
	h.metrics.dead.Inc()
	return h.report(ctx, events.WebhookFailed, e)
}

// report tells the world: event, health, metric, log.
func (h *handling) report(ctx context.Context, kind events.Kind, e *connectors.Error) error {
	took := time.Since(h.began)
	data := events.Data{
		Method: events.Extension(h.event, events.ExtMethod), Path: events.Extension(h.event, events.ExtPath),
		Attempt: h.attempt, DurationMs: events.Milliseconds(took),
	}
	outcome, code, line := "processed", "", h.log.Info()
	if e != nil {
		outcome, code, line = "failed", string(e.Code), h.log.Warn()
		data.ErrorCode, data.ErrorMessage = code, e.Message
	}
	event := events.NewLifecycle(h.opts.Role, kind, h.about, data)
	if _, err := h.Bus.Publish(ctx, h.Bus.Event(h.about.Tenant, h.about.Connector, kind), event, nil); err != nil {
		return err
	}
	h.Status.Webhook(h.ref(), code)
	h.metrics.deliveries.WithLabelValues(h.connector.Key, outcome).Inc()
	line.Str("outcome", outcome).Str("code", code).Dur("ms", took).Msg("webhook")
	return nil
}

// buryRanOut gives up on a webhook over which executors ended again and again.
func (x *Executor) buryRanOut(ctx context.Context, d *events.Delivery) error {
	ref, err := x.Bus.ParseWebhook(d.Subject)
	if err != nil {
		return events.Discard(err)
	}
	event, err := events.Decode(d.Header, d.Data)
	if err != nil {
		return events.Discard(err)
	}
	c, ok := x.Registry.Get(ref.Connector)
	if !ok || c.Webhook == nil || c.Webhook.Handler == nil {
		return nil // nothing was to be done but to announce it
	}
	h := &handling{Executor: x, connector: c, webhook: d, event: event, about: webhookAbout(ref, event), attempt: d.Attempt, began: time.Now(), log: x.log}
	return h.conclude(ctx, connectors.Permanent(connectors.Errorf(connectors.CodeConnectorActionFailed,
		"executors ended over this webhook again and again; it was given up on")))
}
