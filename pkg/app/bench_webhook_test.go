package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/internal/demo"
	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// benchWebhook is the demo scheme under the bench connector's secret.
func benchWebhook() *connectors.Webhook {
	for _, c := range demo.Connectors("http://127.0.0.1:1") {
		if c.Webhook != nil {
			w := *c.Webhook
			w.SecretField = "secret"
			return &w
		}
	}
	panic("the demo has no connector with a webhook")
}

// BenchmarkWebhook: 64 connections post a signed body of 1 KB and wait for 202.
// The floor is a bare handler that gets the same requests, publishes asynchronously
// on the same server and waits for the ack.
func BenchmarkWebhook(b *testing.B) {
	for _, c := range []struct {
		name, sync, goal string
		play             roles
	}{
		{"webhook, ingress, no fsync", "10m", "≥ 0.65", roles{ingress: true}},
		{"webhook, all roles, no fsync", "10m", "", roles{true, true, true}},
		{"webhook, ingress, sync always", "always", "≥ 0.85", roles{ingress: true}},
		{"webhook, all roles, sync always", "always", "", roles{true, true, true}},
	} {
		b.Run(strings.ReplaceAll(c.name, ", ", "/"), func(b *testing.B) {
			s := newSystem(b, c.sync, c.play)
			floor := bareHandler(b, s)
			f, h, ratio := inTurns(turns,
				func() float64 { return perSecond(b, 64, turn, post(floor)) },
				func() float64 { return perSecond(b, 64, turn, post(s.webhookURL)) })
			b.ReportMetric(h, "req/s")
			b.ReportMetric(ratio, "ratio")
			report(row{c.name, rate(f), rate(h), fmt.Sprintf("%.2f", ratio), c.goal})
		})
	}
}

var deliveries atomic.Int64

// post returns work that posts one signed delivery with an id of its own.
func post(url string) func(int, int) error {
	return func(int, int) error {
		timestamp := strconv.FormatInt(time.Now().Unix(), 10)
		mac := hmac.New(sha256.New, []byte(benchSecret))
		mac.Write([]byte(timestamp + "." + benchBody))
		req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(benchBody))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Demo-Timestamp", timestamp)
		req.Header.Set("X-Demo-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		req.Header.Set("X-Demo-Event", "message.created")
		req.Header.Set("X-Demo-Delivery", strconv.FormatInt(deliveries.Add(1), 10))
		resp, err := benchClient.Do(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if err == nil && resp.StatusCode != http.StatusAccepted {
			err = fmt.Errorf("got %s", resp.Status)
		}
		return err
	}
}

// bareHandler serves the floor on the same NATS server and returns a URL of the path
// that a webhook's has.
func bareHandler(b *testing.B, s *system) string {
	b.Helper()
	nc, err := s.env.Server().Connect(nats.Timeout(30 * time.Second))
	if err != nil {
		b.Fatal(err)
	}
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(8192), jetstream.WithDefaultTimeout(30*time.Second))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := js.CreateOrUpdateStream(b.Context(), jetstream.StreamConfig{Name: "FLOOR", Subjects: []string{"floor.>"}, MaxBytes: 8 << 30, Discard: jetstream.DiscardNew}); err != nil {
		b.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := ingress.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		future, err := js.PublishMsgAsync(&nats.Msg{Subject: "floor.webhook", Data: body})
		if err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		select {
		case <-future.Ok():
			w.WriteHeader(http.StatusAccepted)
		case <-future.Err():
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	b.Cleanup(func() { _ = server.Close(); <-done; nc.Close() })
	u, err := url.Parse(s.webhookURL)
	if err != nil {
		b.Fatal(err)
	}
	return "http://" + listener.Addr().String() + u.Path
}
