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
	"github.com/hawser-io/hawser/pkg/events"
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
// The floor is a bare handler that gets the same requests, publishes each by itself
// on the same server and waits for the ack.
func BenchmarkWebhook(b *testing.B) {
	for _, c := range []struct{ name, sync, goal string }{
		{"webhook, ingress, no fsync", "10m", ""},
		{"webhook, all roles, no fsync", "10m", "≥ 0.45"},
		{"webhook, ingress, sync always", "always", "≥ 1.2"},
		{"webhook, all roles, sync always", "always", "≥ 0.9"},
	} {
		b.Run(strings.ReplaceAll(c.name, ", ", "/"), func(b *testing.B) {
			play := roles{ingress: true}
			if strings.Contains(c.name, "all roles") {
				play = roles{true, true, true}
			}
			s := newSystem(b, systemOptions{sync: c.sync, roles: play})
			floor := bareHandler(b, s)
			compare(b, c.name, c.goal,
				func() sample { return load(b, 64, turn, post(floor), nil) },
				func() sample {
					return load(b, 64, turn, post(s.webhookURL), func() { s.drain(b, events.Webhooks) })
				})
		})
	}
}

var deliveries atomic.Int64

// post returns work that posts one signed delivery with an id of its own.
func post(url string) func() error {
	return func() error {
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
