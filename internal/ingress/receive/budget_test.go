package receive

import (
	"context"
	"testing"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestATenantsWebhooksHaveAShareOfAStreamThatFillsUp(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	stream := queue.StreamState{MaxBytes: 100 * mib, MaxAge: time.Hour}
	buckets, err := lru.New[string, *rate.Limiter](100)
	if err != nil {
		t.Fatal(err)
	}
	b := &budgets{share: 0.25, buckets: buckets, state: func(context.Context) (queue.StreamState, error) { return stream, nil }}
	conn := func(tenant, id string) *records.Connection {
		c := records.NewConnection(records.NewRef(events.Tenant{Scope: "organization", Identity: tenant}, "c", id), "1", time.Now())
		return c
	}
	first, second, other := conn("a", "one"), conn("a", "two"), conn("b", "one")
	spend := func(c *records.Connection, n int) (refused *connectors.Error) {
		for range n {
			if err := b.spend(t.Context(), c, mib); err != nil {
				refused = connectors.AsError(err)
			}
		}
		return refused
	}
	if e := spend(first, 40); e != nil {
		t.Fatalf("while the stream has room: %v", e)
	}
	stream.Bytes, b.asked = 60*mib, time.Time{}
	if e := spend(first, 1); e == nil || e.Code != connectors.CodeConnectorQuotaExceeded || e.RetryAfter == 0 {
		t.Errorf("the connection that fills it: %v", e)
	}
	if e := spend(other, 5); e != nil {
		t.Errorf("another tenant: %v", e)
	}
	if e := spend(second, 30); e == nil {
		t.Error("another connection of the tenant may fill it")
	}
}

func TestBodySlotsAreShared(t *testing.T) {
	t.Parallel()
	s := newBodySlots(4, 2)
	releases := []func(){s.tryAcquire("a"), s.tryAcquire("a")}
	if s.tryAcquire("a") != nil {
		t.Error("one owner has more than its part")
	}
	releases = append(releases, s.tryAcquire("b"), s.tryAcquire("c"))
	if s.tryAcquire("d") != nil {
		t.Error("there are more than all")
	}
	for _, release := range releases {
		release()
	}
	if s.held != 0 || len(s.owner) != 0 {
		t.Errorf("left over: %d, %v", s.held, s.owner)
	}
}
