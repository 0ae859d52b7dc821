package e2e_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TestASenderThatTriesAgainHasEveryDeliveryStoredOnce kills the system at random
// times under load, while senders repeat whatever was not acknowledged, as
// providers do. Whether a kill fell before the stream's ack, or between it and
// the answer, must not show.
func TestASenderThatTriesAgainHasEveryDeliveryStoredOnce(t *testing.T) {
	t.Parallel()
	h := up(t)
	url := h.connectDemo("organization/org_1").WebhookURL
	const workers, kills = 4, 4
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	var sent, retried atomic.Int64
	var enough atomic.Bool
	var load sync.WaitGroup
	for worker := range workers {
		load.Go(func() {
			for n := 0; !enough.Load() && ctx.Err() == nil; n++ {
				id := fmt.Sprintf("w%d-%d", worker, n)
				body := fmt.Sprintf(`{"delivery":%q}`, id)
				for ctx.Err() == nil {
					a, err := send(ctx, "POST", url, body, append(sign(body, signingSecret, time.Now()), "X-Demo-Delivery", id)...)
					if err == nil && a.status/100 == 2 {
						sent.Add(1)
						break
					}
					retried.Add(1)
				}
			}
		})
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for kill := range kills {
		for goal := sent.Load() + int64(40+kill*7); sent.Load() < goal && ctx.Err() == nil; {
			<-tick.C
		}
		h.kill()
		h = h.again()
	}
	enough.Store(true)
	load.Wait()
	if ctx.Err() != nil {
		t.Fatalf("the senders did not come to an end: %d sent\n%s", sent.Load(), tail(h.log.String()))
	}
	stored := map[string]int{}
	read(t, h.connect(), "HAWSER_WEBHOOKS", func(m jetstream.Msg) { stored[m.Headers().Get("ce-hawserdelivery")]++ })
	for id, n := range stored {
		if n != 1 {
			t.Errorf("delivery %s is stored %d times, want once", id, n)
		}
	}
	if int64(len(stored)) != sent.Load() {
		t.Errorf("%d deliveries were acknowledged, and %d are stored", sent.Load(), len(stored))
	}
	t.Logf("%d deliveries, %d retries over %d kills", sent.Load(), retried.Load(), kills)
}
