package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/ingress/receive"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// maxListedAccounts bounds the provider accounts that a list shows of one delivery.
const maxListedAccounts = 100

// quarantine lists and redrives the deliveries in quarantine.
type quarantine struct {
	queue    *queue.Queue
	redriver *receive.Redriver
	events   *operatorEvents
}

// quarantined is a delivery in quarantine: ID is its stream sequence, by which it is
// redriven, and RequestID that of the request that brought it.
type quarantined struct {
	receive.Evidence
	ID        string `json:"id"`
	RequestID string `json:"request_id,omitempty"`
}

func (q *quarantine) list(r *http.Request) (any, error) {
	query := r.URL.Query()
	matches := func(name, value string) bool { return query.Get(name) == "" || query.Get(name) == value }
	own := callerOf(r.Context())
	filter := q.queue.Bus.Subjects.Prefix() + ".quarantine." + token(r, "connector") + "." + token(r, "reason")
	return listing[quarantined]{events.Quarantine, filter, "connector reason scope identity connection", func(d *events.StoredMessage) (quarantined, bool) {
		e, ok := receive.ParseEvidence(d)
		item := quarantined{Evidence: e, ID: strconv.FormatUint(d.Sequence, 10), RequestID: e.ID}
		item.Sealed, item.ProviderAccounts = "", e.ProviderAccounts[:min(len(e.ProviderAccounts), maxListedAccounts)]
		return item, ok && own.reaches(tenantOfEvidence(e)) && matches("scope", e.Scope) && matches("identity", e.Identity) && matches("connection", e.ConnectionID)
	}}.page(q.queue.Streams, r)
}

func tenantOfEvidence(e receive.Evidence) events.Tenant {
	return events.Tenant{Scope: e.Scope, Identity: e.Identity}
}

// redrive verifies a delivery again, as of the time it came, with the secrets of now,
// stores it as a webhook, and removes it from the quarantine. A repeated call, or one
// after a crash in between, stores it once.
func (q *quarantine) redrive(r *http.Request) (any, error) {
	d, err := messageOf(q.queue.Streams, r, events.Quarantine, "delivery in quarantine")
	if err != nil {
		return nil, err
	}
	e, ok := receive.ParseEvidence(d)
	if !ok {
		return nil, connectors.Errorf(connectors.CodeInternal, "the evidence cannot be read")
	}
	if !callerOf(r.Context()).reaches(tenantOfEvidence(e)) {
		return nil, unknownMessage("delivery in quarantine")
	}
	stored, err := q.redriver.Redrive(r.Context(), e)
	if err != nil {
		return nil, err
	}
	for _, one := range stored {
		if !one.Quarantined {
			q.events.publish(r.Context(), events.WebhookRedriven, one.About, "quarantine.redrive")
		}
	}
	// Removed even if the operator has closed the connection by now.
	if err := q.queue.Streams.Remove(context.WithoutCancel(r.Context()), events.Quarantine, d.Sequence); err != nil {
		return nil, problem.OfStream(err)
	}
	return map[string]any{"webhooks": stored}, nil
}
