package ingress

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Reasons of the quarantine.
const (
	quarantineSignature = "signature"
	quarantineStale     = "stale"
	quarantineSchema    = "schema"
	quarantineDisabled  = "disabled"
)

// evidence is what is kept of a delivery that did not verify: enough to see what
// went wrong, nothing that the sender could have wanted to hide in it.
type evidence struct {
	Reason      string    `json:"reason"`
	At          time.Time `json:"at"`
	Connection  string    `json:"connection_id"`
	Method      string    `json:"method"`
	Path        string    `json:"path"`
	ContentType string    `json:"content_type,omitempty"`
	Headers     []string  `json:"headers"` // names
	BodyBytes   int       `json:"body_bytes"`
	BodySHA256  string    `json:"body_sha256"`
}

// reject notes a refused delivery: the connection is known, so its owner should
// learn of it. What strangers can cause is bounded.
func (i *Ingress) reject(d *delivery, e *connectors.Error) *connectors.Error {
	if e.Code.HTTPStatus() >= http.StatusInternalServerError {
		return e
	}
	reason := reasonOf(e)
	i.note(d, e, reason)
	if !i.rejections.Allow() {
		return e
	}
	i.announce(d, e, false)
	if e.Code == connectors.CodeConnectorWebhookVerificationFailed {
		i.quarantine(d, reason)
	}
	return e
}

// setAside refuses a verified delivery that is not taken now. It is kept whole,
// so that it can be driven on when the connection is enabled, or the connector
// knows better.
func (i *Ingress) setAside(ctx context.Context, d *delivery, m *message, shelf string, e *connectors.Error) *connectors.Error {
	i.note(d, e, shelf)
	if !i.rejections.Allow() {
		return e
	}
	i.announce(d, e, true)
	m.header[events.HeaderReason] = []string{string(e.Code)}
	m.header[events.HeaderSubject] = []string{m.subject}
	p, err := i.Bus.PublishRaw(i.Bus.Quarantine(d.conn.Connector, shelf), m.header, m.data, &events.PublishOptions{MsgID: m.dedup})
	if err == nil {
		_, err = p.Wait(ctx)
	}
	if err != nil {
		i.log.Warn().Err(err).Msg("a refused delivery was not kept")
	}
	return e
}

func reasonOf(e *connectors.Error) string {
	if rejection, ok := errors.AsType[*webhook.Rejection](e.Cause); ok {
		return string(rejection.Reason)
	}
	return "other"
}

// note writes health, metric and log.
func (i *Ingress) note(d *delivery, e *connectors.Error, reason string) {
	i.Status.Webhook(d.conn.Ref(), string(e.Code))
	i.metrics.rejections.WithLabelValues(d.conn.Connector, reason).Inc()
	i.log.Info().Str("connector", d.conn.Connector).Str("connection_id", d.conn.ID).Str("code", string(e.Code)).Str("reason", reason).
		Str("trace_id", events.TraceID(d.r.Context())).Msg("webhook rejected")
}

// announce emits webhook.rejected, without waiting for it.
func (i *Ingress) announce(d *delivery, e *connectors.Error, verified bool) {
	event := events.NewLifecycle("ingress", events.WebhookRejected, d.conn.About(), events.Data{
		Method: d.r.Method, Path: i.maskedPath(d.conn.Connector), Verified: &verified, ErrorCode: string(e.Code), ErrorMessage: e.Message,
	})
	subject := i.Bus.Event(d.conn.Ref().Tenant, d.conn.Connector, events.WebhookRejected)
	if _, err := i.Bus.PublishAsync(d.r.Context(), subject, event, nil); err != nil {
		i.log.Warn().Err(err).Msg("webhook.rejected not announced")
	}
}

// quarantine keeps the evidence of a delivery that did not verify.
func (i *Ingress) quarantine(d *delivery, reason string) {
	sum := sha256.Sum256(d.Body)
	data, err := json.Marshal(evidence{
		Reason: reason, At: time.Now().UTC(), Connection: d.conn.ID, Method: d.r.Method, Path: i.maskedPath(d.conn.Connector),
		ContentType: d.r.Header.Get("Content-Type"), Headers: slices.Sorted(maps.Keys(d.r.Header)),
		BodyBytes: len(d.Body), BodySHA256: hex.EncodeToString(sum[:]),
	})
	if err != nil {
		return
	}
	shelf := quarantineSignature
	if reason == string(webhook.ReasonStale) || reason == string(webhook.ReasonFuture) {
		shelf = quarantineStale
	}
	event := events.New("ingress", "hawser.webhook.quarantined", d.conn.About(), data)
	if _, err := i.Bus.PublishAsync(d.r.Context(), i.Bus.Quarantine(d.conn.Connector, shelf), event, nil); err != nil {
		i.log.Warn().Err(err).Msg("a refused delivery was not kept")
	}
}

func (i *Ingress) maskedPath(connector string) string {
	return i.opts.BasePath + "/connectors/" + connector + "/webhook/***"
}
