package receive

import (
	"context"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

const (
	// storeTimeout bounds the verification and storage of a delivery once its body is
	// read. Providers retry soon after a 503, and may give up on a URL that does not
	// answer. The lookup of the connection, before, has the same time.
	storeTimeout = 1500 * time.Millisecond
	// largeStoreTimeout is for bodies that do not fit into a message.
	largeStoreTimeout = 10 * time.Second
)

// deliverer brings verified deliveries into the stream, or into quarantine where their
// connection is disabled or unknown.
type deliverer struct {
	connections *records.Connections
	publisher   *publisher
	quarantine  *quarantine
	rejections  *rejections
	budgets     *budgets
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
// can be redriven. A delivery to an app is dispatched to its connections.
func (t *deliverer) deliver(ctx context.Context, d *delivery) (Receipt, error) {
	if d.conn == nil {
		return t.dispatch(ctx, d)
	}
	m := t.publisher.message(d)
	err := receivable(d.conn)
	if err == nil {
		if err := t.budgets.spend(ctx, d.conn, len(d.Body)); err != nil {
			return Receipt{}, t.rejections.record(ctx, d, err)
		}
		return t.publisher.store(ctx, d, m)
	}
	id := ""
	if m.unique {
		id = "parked/" + m.subject
	}
	receipt, stored := t.quarantine.store(ctx, d.evidence(quarantineDisabled, connectors.AsError(err).Code), d.Request, id)
	if stored == nil && !receipt.Duplicate {
		_ = t.rejections.record(ctx, d, err) // the provider gets a success
	}
	return receipt, stored
}
