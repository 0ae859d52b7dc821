package receive

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

const (
	// maxSealed is the largest body that is sealed of a delivery that was verified,
	// together with the accounts it is for: sealed and encoded twice, it still fits
	// into a message.
	maxSealed = 480 << 10
	// maxSealedUnverified is the same for a delivery that anybody may have sent.
	maxSealedUnverified = 64 << 10
	// spaceCheckInterval is how often the size of the stream is read.
	spaceCheckInterval = 10 * time.Second
)

// errTooLargeToSeal is returned for a delivery that cannot be stored for a redrive.
var errTooLargeToSeal = errors.New("the delivery is too large to be stored in quarantine")

// quarantine stores deliveries that are not delivered, and evidence of rejections.
type quarantine struct {
	queue       *queue.Queue
	connections *records.Connections
	recent      *recent
	metrics     *metrics
	log         zerolog.Logger

	evidenceRate *rate.Limiter // of evidence of rejections
	checked      atomic.Int64  // when the size of the stream was read, in Unix nanoseconds
	full         atomic.Bool   // it had no space for evidence of rejections then
}

// store stores a verified delivery for a redrive. A repetition, by messageID if it is
// not "", is stored once. Without a refusal the stream has it.
func (q *quarantine) store(ctx context.Context, e *Evidence, r webhook.Request, messageID string) (Receipt, error) {
	duplicate, err := q.recent.once(messageID, func() (bool, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
		defer cancel()
		err := q.seal(e, r, maxSealed)
		var duplicate bool
		if err == nil {
			duplicate, err = q.publish(ctx, e, messageID)
		}
		if err != nil {
			q.log.Warn().Err(err).Str("connector", e.Connector).Str("reason", e.Reason).Msg("delivery not stored in quarantine")
			return false, problem.OfStream(err)
		}
		return duplicate, nil
	})
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{ID: e.ID, Duplicate: duplicate, Quarantined: true}, nil
}

// seal puts the whole request into the evidence, if it is not larger than limit.
func (q *quarantine) seal(e *Evidence, r webhook.Request, limit int) error {
	size := len(r.Body)
	for _, account := range e.ProviderAccounts {
		size += len(account)
	}
	if size > limit {
		return errTooLargeToSeal
	}
	plain, err := json.Marshal(original{r.Method, r.PublicURL, r.Header, r.Body, r.Now})
	if err != nil {
		return err
	}
	if e.Sealed, err = q.connections.Sealer().SealQuarantined(e.ID, plain); err != nil {
		return err
	}
	e.Redrivable = true
	return nil
}

// open returns the request that is sealed in the evidence.
func (q *quarantine) open(e Evidence) (webhook.Request, error) {
	plain, err := q.connections.Sealer().OpenQuarantined(e.ID, e.Sealed)
	if err != nil {
		return webhook.Request{}, err
	}
	var o original
	if err := json.Unmarshal(plain, &o); err != nil {
		return webhook.Request{}, connectors.Errorf(connectors.CodeInternal, "the evidence cannot be read")
	}
	query := url.Values{}
	if u, err := url.Parse(o.URL); err == nil {
		query = u.Query()
	}
	return webhook.Request{Method: o.Method, PublicURL: o.URL, Header: o.Header, Query: query, Body: o.Body, Now: o.At}, nil
}

// publish stores evidence and waits for the stream's ack. By messageID, if it is not
// "", the stream recognises evidence that it stored and whose ack was lost.
func (q *quarantine) publish(ctx context.Context, e *Evidence, messageID string) (duplicate bool, err error) {
	doc, err := json.Marshal(e)
	if err != nil {
		return false, err
	}
	event := events.NewWithID(e.ID, "ingress", "hawser.webhook.quarantined", e.about(), doc)
	ack, err := q.queue.Bus.Publish(ctx, q.queue.Bus.Subjects.Quarantine(e.Connector, e.Reason), event, &events.PublishOptions{MsgID: messageID})
	if err != nil {
		return false, err
	}
	if !ack.Duplicate {
		q.metrics.quarantined.WithLabelValues(e.Connector, e.Reason).Inc()
	}
	return ack.Duplicate, nil
}

// recordRejection stores evidence of a delivery whose sender was refused; sealed says
// whether the delivery itself is stored too. Evidence is bounded in number and size,
// and may fill half of the stream: the other half is for deliveries that were
// acknowledged. The sender's answer does not depend on it.
func (q *quarantine) recordRejection(ctx context.Context, e *Evidence, r webhook.Request, sealed bool) {
	if !q.evidenceRate.Allow() || !q.hasSpace(ctx) {
		q.metrics.evidenceDropped.Inc()
		return
	}
	if sealed {
		_ = q.seal(e, r, maxSealedUnverified) // of a larger one, the description is stored
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if _, err := q.publish(ctx, e, ""); err != nil {
		q.metrics.evidenceDropped.Inc()
		q.log.Warn().Err(err).Str("connector", e.Connector).Msg("evidence not stored")
	}
}

// hasSpace reports whether the stream has space for evidence of rejections.
func (q *quarantine) hasSpace(ctx context.Context) bool {
	now := time.Now().UnixNano()
	last := q.checked.Load()
	if now-last < int64(spaceCheckInterval) || !q.checked.CompareAndSwap(last, now) {
		return !q.full.Load()
	}
	state, err := q.queue.Streams.State(ctx, events.Quarantine)
	q.full.Store(err != nil || state.MaxBytes > 0 && state.Bytes > state.MaxBytes/2)
	return !q.full.Load()
}
