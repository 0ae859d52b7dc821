package records

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

// Status is what is known of a connection's health. It is stored apart from the
// record, so that a webhook never conflicts with a change of credentials.
type Status struct {
	LastWebhook *Outcome `json:"last_webhook,omitempty"`
	LastAction  *Outcome `json:"last_action,omitempty"`
	LastError   *Outcome `json:"last_error,omitempty"`
	// WebhooksSeen counts the seconds in which webhooks were received, and
	// WebhookGap is the usual time between them, a moving average in seconds.
	WebhooksSeen int     `json:"webhooks_seen,omitempty"`
	WebhookGap   float64 `json:"webhook_gap,omitempty"`
	// Subscription is the registration of the webhook at the provider; nil if there is none.
	Subscription *SubscriptionStatus `json:"subscription,omitempty"`
}

// UsualGap is the usual time between webhooks, 0 if it is not known.
func (s *Status) UsualGap() time.Duration {
	return time.Duration(s.WebhookGap * float64(time.Second))
}

// gapWeight is how much the latest gap counts in the average.
const gapWeight = 0.1

// addWebhook updates the usual gap by a further webhook.
func (s *Status) addWebhook(o *Outcome) {
	if o == nil {
		return
	}
	if s.LastWebhook != nil && o.At.After(s.LastWebhook.At) {
		gap := o.At.Sub(s.LastWebhook.At).Seconds()
		if s.WebhooksSeen > 1 {
			gap = s.WebhookGap + gapWeight*(gap-s.WebhookGap)
		}
		s.WebhookGap = gap
	}
	s.WebhooksSeen++
}

// Outcome is when something last happened, and how it went.
type Outcome struct {
	At     time.Time `json:"at"`
	Result string    `json:"result"`         // success or error
	Code   string    `json:"code,omitempty"` // of an error
}

const (
	statusEvery   = time.Second
	statusTimeout = 5 * time.Second // of one round of writes
	// maxNoted bounds for how many connections outcomes are collected. Those of
	// further connections are dropped.
	maxNoted = 10_000
)

// StatusWriter collects outcomes and writes them once a second, one write per connection:
// health is not worth a write per webhook. What cannot be stored is written with the next
// round. Outcomes that are not written when the process is killed are lost. Safe for
// concurrent use.
type StatusWriter struct {
	bucket      kvstore.Store
	connections kvstore.Store

	mu    sync.Mutex
	noted map[string]Status // key of the record → what is new
}

// NewStatusWriter returns a writer into buckets; it writes while Run runs.
func NewStatusWriter(buckets Buckets) *StatusWriter {
	return &StatusWriter{bucket: buckets.Status, connections: buckets.Connections, noted: map[string]Status{}}
}

// Webhook notes the outcome of a webhook. code is "" for a success.
func (w *StatusWriter) Webhook(r Ref, code string) {
	w.note(r, code, func(s *Status, o *Outcome) { s.LastWebhook = o })
}

// Action notes the outcome of an action. code is "" for a success.
func (w *StatusWriter) Action(r Ref, code string) {
	w.note(r, code, func(s *Status, o *Outcome) { s.LastAction = o })
}

// Subscription notes the state of a connection's webhook registration.
func (w *StatusWriter) Subscription(r Ref, s SubscriptionStatus) {
	w.add(r.Key(), Status{Subscription: &s})
}

func (w *StatusWriter) note(r Ref, code string, set func(*Status, *Outcome)) {
	o := &Outcome{At: time.Now().UTC(), Result: "success", Code: code}
	if code != "" {
		o.Result = "error"
	}
	var news Status
	set(&news, o)
	if code != "" {
		news.LastError = o
	}
	w.add(r.Key(), news)
}

func (w *StatusWriter) add(key string, news Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	noted, known := w.noted[key]
	if !known && len(w.noted) >= maxNoted {
		return
	}
	noted.merge(news)
	w.noted[key] = noted
}

// Run writes what was noted until ctx ends, and a last time after it.
func (w *StatusWriter) Run(ctx context.Context, onError func(error)) error {
	for ctx.Err() == nil {
		pause(ctx, statusEvery)
		w.flush(ctx, onError)
	}
	w.flush(ctx, onError)
	return nil
}

// flush writes what was noted, also after ctx has ended.
func (w *StatusWriter) flush(ctx context.Context, onError func(error)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statusTimeout)
	defer cancel()
	w.mu.Lock()
	noted := w.noted
	w.noted = map[string]Status{}
	w.mu.Unlock()
	var failure error
	for key, news := range noted {
		if failure != nil {
			w.add(key, news)
			continue
		}
		if err := w.store(ctx, key, news); err != nil {
			failure = err
			w.add(key, news)
		}
	}
	if failure != nil {
		onError(DatabaseError("store the status of connections", failure))
	}
}

// store merges what is new into the status of a connection. A disconnection deletes the
// record first and the status after it, so a status that is created here is deleted again
// if its connection does not exist.
func (w *StatusWriter) store(ctx context.Context, key string, news Status) error {
	created := false
	_, err := kvstore.Modify(ctx, w.bucket, key, func(old []byte) ([]byte, error) {
		created = old == nil
		return news.mergeInto(old)
	})
	if err != nil || !created {
		return err
	}
	if _, err = latest(ctx, w.connections, key); errors.Is(err, kvstore.ErrNotFound) {
		if err = w.bucket.Delete(ctx, key, 0); errors.Is(err, kvstore.ErrNotFound) {
			return nil
		}
	}
	return err
}

// mergeInto returns the stored status with what is new.
func (s Status) mergeInto(old []byte) ([]byte, error) {
	var stored Status
	if old != nil && json.Unmarshal(old, &stored) != nil {
		stored = Status{} // unreadable: start anew
	}
	stored.addWebhook(s.LastWebhook)
	stored.merge(s)
	return json.Marshal(stored)
}

// merge sets the newer outcome of each kind.
func (s *Status) merge(news Status) {
	newer(&s.LastWebhook, news.LastWebhook)
	newer(&s.LastAction, news.LastAction)
	newer(&s.LastError, news.LastError)
	if n := news.Subscription; n != nil && (s.Subscription == nil || !n.At.Before(s.Subscription.At)) {
		s.Subscription = n
	}
}

func newer(at **Outcome, o *Outcome) {
	if o != nil && (*at == nil || !o.At.Before((*at).At)) {
		*at = o
	}
}

// Status returns the health of a connection; nil if nothing is known.
func (s *Connections) Status(ctx context.Context, r Ref) (*Status, error) {
	e, err := s.status.Get(ctx, r.Key())
	if errors.Is(err, kvstore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, DatabaseError("read the status", err)
	}
	var out Status
	if json.Unmarshal(e.Value, &out) != nil {
		return nil, nil
	}
	return &out, nil
}
