package receive

import (
	"context"
	"errors"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// deliverer brings deliveries to where they belong: verified ones into the stream,
// or into quarantine where their connection is disabled or unknown; of the others it
// records the rejection.
type deliverer struct {
	connections *records.Connections
	publisher   *publisher
	quarantine  *quarantine
	rejections  *rejections
	urls        urls
}

// withTimeout bounds the verification and storage of a delivery. It does not end with
// the request: repetitions may wait for the outcome of the first copy.
func (t *deliverer) withTimeout(ctx context.Context, body []byte) (context.Context, context.CancelFunc) {
	timeout := storeTimeout
	if !t.publisher.queue.Bodies.Fits(len(body)) {
		timeout = largeStoreTimeout
	}
	return context.WithTimeout(context.WithoutCancel(ctx), timeout)
}

// deliver stores a verified delivery in the stream, or in quarantine if the connection
// does not accept it now. Either is a success for the provider: what is in quarantine
// can be redriven.
func (t *deliverer) deliver(ctx context.Context, d *delivery, m *message) (Receipt, *connectors.Error) {
	err := receivable(d.conn)
	if err == nil {
		return t.publisher.store(ctx, d, m)
	}
	id := ""
	if m.unique {
		id = "parked/" + m.subject
	}
	e := connectors.AsError(err)
	receipt, refusal := t.quarantine.store(ctx, d.evidence(quarantineDisabled, e.Code), d.Request, id)
	if refusal == nil && !receipt.Duplicate {
		t.rejections.record(ctx, d, e)
	}
	return receipt, refusal
}

// rejectUnverified refuses a delivery that did not verify, and stores evidence of it.
func (t *deliverer) rejectUnverified(ctx context.Context, d *delivery, e *connectors.Error) *connectors.Error {
	if rejection, ok := errors.AsType[*webhook.Rejection](e.Cause); ok {
		evidence := d.evidence(quarantineReason(rejection), e.Code)
		evidence.Detail, evidence.SkewMs = string(rejection.Reason), rejection.Skew.Milliseconds()
		t.quarantine.recordRejection(ctx, evidence, d.Request, evidence.Reason == quarantineSignature && rejection.Handshake == "")
	}
	return t.rejections.record(ctx, d, e)
}
