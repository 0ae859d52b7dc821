package app

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/events"
)

// storedConnections is how many connections are stored besides the one:
// HAWSER_BENCH_CONNECTIONS=1000000 for the number that is promised.
func storedConnections(b *testing.B) int {
	b.Helper()
	text := os.Getenv("HAWSER_BENCH_CONNECTIONS")
	if text == "" {
		return 10_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("HAWSER_BENCH_CONNECTIONS is %q, want a number", text)
	}
	return n
}

// BenchmarkWebhookAmongMany is BenchmarkWebhook with many connections stored. The
// same is measured on a system with one connection and on one with many, since
// every system slows down with what its stream remembers; then deliveries for a
// thousand of them, and for any, most of which no cache holds.
func BenchmarkWebhookAmongMany(b *testing.B) {
	for _, n := range []int{0, storedConnections(b)} {
		b.Run(fmt.Sprintf("stored=%d", n), func(b *testing.B) {
			s := newSystem(b, systemOptions{roles: roles{ingress: true}})
			began := time.Now()
			s.crowd(b, n)
			b.Logf("%d connections stored in %v", n, time.Since(began).Round(time.Second))
			// A node of its own, whose watches have not seen the crowd come.
			s.webhookURL = startNode(b, s.env, s.keys, systemOptions{roles: roles{ingress: true}}).baseURL + strings.TrimPrefix(s.webhookURL, s.baseURL)
			s.amongMany(b, n, "for one", post(s.webhookURL))
			if n > 0 {
				s.amongMany(b, n, "for 1000", s.anyOf(min(n, 1000)))
				s.amongMany(b, n, "for any", s.anyOf(n))
			}
		})
	}
}

// amongMany measures work with n further connections stored. The ratio is the same for
// any n.
func (s *system) amongMany(b *testing.B, n int, what string, work func() error) {
	b.Helper()
	floor := post(bareHandler(b, s))
	compare(b, fmt.Sprintf("webhook, %d stored, %s", n, what), "",
		func() sample { return load(b, 64, turn, floor, nil) },
		func() sample { return load(b, 64, turn, work, nil) })
}

// anyOf returns work that posts to one of the first m of the crowd.
func (s *system) anyOf(m int) func() error {
	return func() error { return post(s.urlOf(rand.IntN(m)))() }
}

// urlSecretOf is the secret of the i-th connection's URL.
func urlSecretOf(i int) string { return fmt.Sprintf("%032x", i+1) }

func (s *system) urlOf(i int) string {
	return s.webhookURL[:strings.LastIndexByte(s.webhookURL, '/')+1] + urlSecretOf(i)
}

// crowd writes the records of n more connections, and their URLs, as the service
// would, but without its checks and events: a million take about a minute.
func (s *system) crowd(b *testing.B, n int) {
	b.Helper()
	entry, err := s.buckets.Connections.Get(b.Context(), records.NewRef(s.tenant, "bench", "").Key())
	if err != nil {
		b.Fatal(err)
	}
	const writers = 8
	var g errgroup.Group
	for writer := range writers {
		g.Go(func() error { return s.writeCrowd(b, entry.Value, writer, writers, n) })
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
}

func (s *system) writeCrowd(b *testing.B, template []byte, from, step, n int) error {
	nc, err := s.env.Server().Connect(nats.Timeout(30 * time.Second))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(1024), jetstream.WithDefaultTimeout(30*time.Second))
	if err != nil {
		return err
	}
	put := func(bucket, key string, value []byte) error {
		_, err := js.PublishMsgAsync(&nats.Msg{Subject: "$KV." + s.queue.Bus.Subjects.Bucket(bucket) + "." + key, Data: value}, jetstream.WithStallWait(30*time.Second))
		return err
	}
	for i := from; i < n; i += step {
		var c records.Connection
		if err := json.Unmarshal(template, &c); err != nil {
			return err
		}
		sum := sha256.Sum256([]byte(urlSecretOf(i)))
		c.ID, c.Identity = events.NewID(), fmt.Sprintf("org-%d", i)
		c.Config = json.RawMessage(`{"secret":"` + benchSecret + `"}`)
		c.Webhook = &records.WebhookURL{Secret: urlSecretOf(i), Hash: hex.EncodeToString(sum[:])}
		doc, err := json.Marshal(&c)
		if err != nil {
			return err
		}
		key := c.Ref().Key()
		if doc, err = s.keys.SealFields(doc, c.Sealed, crypto.Binding{Bucket: s.queue.Bus.Subjects.Bucket("connections"), Key: key}); err != nil {
			return err
		}
		if err := put("webhooks", c.Webhook.Hash, []byte(key)); err != nil {
			return err
		}
		if err := put("connections", key, doc); err != nil {
			return err
		}
	}
	select {
	case <-js.PublishAsyncComplete():
		return nil
	case <-time.After(time.Minute):
		return fmt.Errorf("%d writes were not acknowledged", js.PublishAsyncPending())
	}
}
