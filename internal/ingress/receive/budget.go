package receive

import (
	"context"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// DefaultTenantShare is what one tenant's webhooks may fill of the stream once it is half
// full, and a connection half of that.
const DefaultTenantShare = 0.25

const (
	// maxBudgets bounds the tenants and connections whose webhooks are counted; the least
	// recently used is forgotten.
	maxBudgets = 20_000
	// budgetLooks is the time between two looks at the stream.
	budgetLooks = 5 * time.Second
	// messageOverhead is about what a stored webhook needs besides its body.
	messageOverhead = 1200
	quotaRetryAfter = time.Minute
)

// budgets keep one tenant's webhooks from filling the stream for all. Each tenant and each
// connection has a token bucket of bytes: full it is the share of the stream, and it is filled
// within the stream's retention. An empty one matters only while the stream is more than
// half full. Every process has buckets of its own.
type budgets struct {
	state   func(context.Context) (queue.StreamState, error)
	share   float64
	buckets *lru.Cache[string, *rate.Limiter]

	mu    sync.Mutex
	asked time.Time         // guarded by mu
	last  queue.StreamState // guarded by mu
}

func newBudgets(streams queue.Streams, share float64) *budgets {
	buckets, err := lru.New[string, *rate.Limiter](maxBudgets)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	state := func(ctx context.Context) (queue.StreamState, error) { return streams.State(ctx, events.Webhooks) }
	return &budgets{state: state, share: share, buckets: buckets}
}

// spend takes a delivery's bytes from the budgets of its tenant and its connection.
// CONNECTOR_QUOTA_EXCEEDED while they are used up and the stream is more than half full.
func (b *budgets) spend(ctx context.Context, conn *records.Connection, body int) error {
	stream := b.look(ctx)
	if stream.MaxBytes == 0 || b.share <= 0 {
		return nil
	}
	share := float64(stream.MaxBytes) * b.share
	size := body + messageOverhead
	tenant := b.take("t/"+conn.Ref().Tenant.Tokens(), share, stream.MaxAge, size)
	connection := b.take("c/"+conn.ID, share/2, stream.MaxAge, size)
	if tenant && connection || stream.Bytes < stream.MaxBytes/2 {
		return nil
	}
	whose := "tenant"
	if tenant {
		whose = "connection"
	}
	e := connectors.Errorf(connectors.CodeConnectorQuotaExceeded, "the %s has used up its share of the stored webhooks; the operator sets the share and the size (HAWSER_WEBHOOK_SHARE, HAWSER_WEBHOOKS_MAX_BYTES)", whose)
	e.RetryAfter = quotaRetryAfter
	return e
}

func (b *budgets) take(key string, share float64, period time.Duration, size int) bool {
	burst := max(int(share), 1)
	bucket, ok := b.buckets.Get(key)
	if !ok || bucket.Burst() != burst {
		limit := rate.Limit(0)
		if period > 0 {
			limit = rate.Limit(share / period.Seconds())
		}
		bucket = rate.NewLimiter(limit, burst)
		b.buckets.Add(key, bucket)
	}
	return bucket.AllowN(time.Now(), min(size, burst))
}

// look returns the state of the stream, which is a few seconds old at most.
func (b *budgets) look(ctx context.Context) queue.StreamState {
	b.mu.Lock()
	defer b.mu.Unlock()
	if time.Since(b.asked) < budgetLooks {
		return b.last
	}
	b.asked = time.Now() // a stream that does not answer is asked no sooner
	b.mu.Unlock()
	state, err := b.state(ctx)
	b.mu.Lock()
	if err == nil {
		b.last = state
	}
	return b.last
}
