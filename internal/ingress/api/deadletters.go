package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// deadLetters lists and redrives dead letters.
type deadLetters struct {
	queue      *queue.Queue
	events     *operatorEvents
	resultsURL string
}

// deadLetter is a message whose processing failed for good.
type deadLetter struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"` // action or webhook
	Scope     string    `json:"scope"`
	Identity  string    `json:"identity"`
	Connector string    `json:"connector"`
	Account   string    `json:"account,omitempty"`
	Name      string    `json:"name"` // of the action, or the provider's event type
	Attempts  int       `json:"attempts"`
	Reason    string    `json:"reason"`               // the code of the last error
	RequestID string    `json:"request_id,omitempty"` // of the action, or the id of the webhook
	At        time.Time `json:"at"`
}

func (l *deadLetters) list(r *http.Request) (any, error) {
	own := callerOf(r.Context())
	filter := l.queue.Bus.Subjects.Prefix() + ".dead." + token(r, "kind") + "." + token(r, "scope") + "." + token(r, "identity") + "." + token(r, "connector") + ".*"
	return listing[deadLetter]{queue.Dead, filter, "kind scope identity connector", func(d *events.StoredMessage) (deadLetter, bool) {
		item, ok := l.read(d)
		return item, ok && own.reaches(events.Tenant{Scope: item.Scope, Identity: item.Identity})
	}}.page(l.queue.Streams, r)
}

func (l *deadLetters) read(d *events.StoredMessage) (deadLetter, bool) {
	dead, err := l.queue.Subjects.ReadDeadLetter(d)
	if err != nil {
		return deadLetter{}, false
	}
	return deadLetter{
		ID: strconv.FormatUint(d.Sequence, 10), Kind: dead.Kind, Scope: dead.Scope, Identity: dead.Identity, Connector: dead.Connector,
		Account: dead.Account, Name: dead.Action, Attempts: queue.Attempts(d), Reason: dead.Reason, RequestID: dead.ID, At: d.Stored,
	}, true
}

// redrive publishes a dead letter again. An action becomes a new request, since the old
// one has its result: the answer has the URL of the new one's.
func (l *deadLetters) redrive(r *http.Request) (any, error) {
	d, err := messageOf(l.queue.Streams, r, queue.Dead, "dead letter")
	if err != nil {
		return nil, err
	}
	dead, err := l.queue.Subjects.ReadDeadLetter(d)
	if err != nil {
		return nil, connectors.Errorf(connectors.CodeInternal, "the dead letter cannot be read")
	}
	if !callerOf(r.Context()).reaches(dead.Tenant) {
		return nil, unknownMessage("dead letter")
	}
	id := dead.RedrivenID()
	if err := l.queue.Redrive(r.Context(), d); err != nil {
		return nil, problem.OfStream(err)
	}
	if err := l.queue.Streams.Remove(context.WithoutCancel(r.Context()), queue.Dead, d.Sequence); err != nil {
		return nil, problem.OfStream(err)
	}
	about := events.EventContext{Tenant: dead.Tenant, Connector: dead.Connector, Account: dead.Account, RequestID: dead.ID}
	if dead.Kind == "webhook" {
		l.events.publish(r.Context(), events.WebhookRedriven, about, "dead-letters.redrive")
		return map[string]any{"id": dead.ID}, nil
	}
	l.events.publish(r.Context(), events.ActionRedriven, about, "dead-letters.redrive")
	reference := events.Action{ActionRef: dead.ActionRef, Account: dead.Account, ID: id}.Reference()
	return map[string]any{"id": id, "result_url": l.resultsURL + reference}, nil
}
