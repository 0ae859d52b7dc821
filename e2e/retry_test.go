package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
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

// TestSlowClientsDoNotStopTheOthers opens as many connections as the limit of
// open files allows, at most 10,000: some never end their headers, some never
// send the body that they announced.
func TestSlowClientsDoNotStopTheOthers(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	slow := min(10_000, int(limit.Cur)-500)
	h := up(t)
	c := h.connectDemo("organization/org_1")
	address := strings.TrimPrefix(h.http, "http://")
	path := strings.TrimPrefix(c.WebhookURL, h.http)
	held := make([]net.Conn, 0, slow)
	defer func() {
		for _, conn := range held {
			_ = conn.Close()
		}
	}()
	dialer := net.Dialer{Timeout: 30 * time.Second}
	for n := range slow {
		conn, err := dialer.DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatalf("slow client %d: %v", n, err)
		}
		held = append(held, conn)
		request := "POST " + path + " HTTP/1.1\r\nHost: x\r\nX-Slow: 1"
		if n%2 == 0 {
			request += "\r\nContent-Length: 1000\r\n\r\n{"
		}
		if _, err := conn.Write([]byte(request)); err != nil {
			t.Fatalf("slow client %d: %v", n, err)
		}
	}
	slowest := time.Duration(0)
	for n := range 50 {
		began := time.Now()
		body := fmt.Sprintf(`{"n":%d}`, n)
		a, err := send(t.Context(), "POST", c.WebhookURL, body, append(sign(body, signingSecret, time.Now()), "X-Demo-Delivery", fmt.Sprint(n))...)
		if err != nil || a.status != http.StatusAccepted {
			t.Fatalf("delivery %d beside %d slow clients: %d %s %v", n, slow, a.status, a.body, err)
		}
		slowest = max(slowest, time.Since(began))
	}
	if slowest > 5*time.Second {
		t.Errorf("beside %d slow clients the slowest of 50 deliveries took %v", slow, slowest)
	}
	t.Logf("%d slow clients; the slowest of 50 deliveries took %v", slow, slowest)
}
