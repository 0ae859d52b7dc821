package embedded_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
)

// violations collects what the server refuses a connection.
type violations struct {
	mu   sync.Mutex
	said []string
}

func collect() (*violations, nats.Option) {
	v := &violations{}
	return v, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.said = append(v.said, err.Error())
	})
}

// about reports whether the server refused the subject.
func (v *violations) about(operation, subject string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.said {
		if strings.Contains(s, operation+` to "`+subject+`"`) {
			return true
		}
	}
	return false
}

func TestEverythingElseIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v, handler := collect()
	nc := dial(t, w.server, issue(t, w.dir, "org", "ava"), handler)
	all := subscribe(t, w.nc, ">")
	publish := []string{
		"hawser.action.org.bob.demo.a", "hawser.action.user.ava.demo.a", "hawser.action.org.ava",
		"hawser.result.org.ava.demo.a.1", "hawser.event.org.ava.demo.action.completed", "hawser.webhook.org.ava.demo.x",
		"hawser.api.connections.list", "hawser.call.org.ava.demo.a", "hawser.parked.action.1", "hawser.dead.action.org.ava.demo.a",
		"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.MSG.GET.HAWSER_ACTIONS", "$JS.ACK.HAWSER_ACTIONS.c.1.1.1.1.0",
		"$KV.hawser-connections.org.ava.demo.default", "$SYS.REQ.USER.INFO", "$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.ACCOUNT.PING.CONNZ",
		"$SRV.PING", "_INBOX.x", "_R_.x", "other",
	}
	for _, subject := range publish {
		if err := nc.Publish(subject, []byte("evil")); err != nil {
			t.Fatal(err)
		}
	}
	listen := []string{
		">", "*", "hawser.>", "hawser.*.org.ava.>", "hawser.result.>", "hawser.result.*.ava.>", "hawser.result.org.bob.>", "hawser.result.org.bob.demo.a.1",
		"hawser.event.org.*.>", "hawser.webhook.org.bob.demo.x", "hawser.action.org.ava.>", "hawser.action.org.bob.>", "hawser.api.>", "hawser.call.>",
		"$JS.>", "$JS.API.>", "$JS.EVENT.>", "$KV.>", "$SYS.>", "$SRV.>", "_R_.>", "_HBOX.>",
	}
	for _, subject := range listen {
		if _, err := nc.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		if _, err := nc.QueueSubscribeSync(subject, "q"); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	// The client reads answers in order and hands errors to the handler in order:
	// one more refusal, awaited, comes after all others.
	awaitRefusal(t, v, nc)
	for _, subject := range publish {
		if !v.about("Publish", subject) {
			t.Errorf("publishing %s was not refused", subject)
		}
	}
	for _, subject := range listen {
		if !v.about("Subscription", subject) {
			t.Errorf("subscribing %s was not refused", subject)
		}
		if !v.about("Subscription", subject+`" using queue "q`) {
			t.Errorf("subscribing %s in a queue group was not refused", subject)
		}
	}
	if err := w.nc.Publish("end", nil); err != nil {
		t.Fatal(err)
	}
	if msg, err := all.NextMsgWithContext(t.Context()); err != nil || msg.Subject != "end" {
		t.Errorf("Hawser's account saw %v, %v, want nothing of the tenant", msg, err)
	}
}

// awaitRefusal returns when the client has received the server's refusal of a
// publish made now.
func awaitRefusal(t *testing.T, v *violations, nc *nats.Conn) {
	t.Helper()
	marker := "marker." + nats.NewInbox()
	if err := nc.Publish(marker, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !v.about("Publish", marker) {
		if err := nc.FlushWithContext(ctx); err != nil {
			t.Fatalf("no permissions violation was received: %v", err)
		}
	}
}

// evilReplies are reply subjects that make the server's acknowledgement a write.
func evilReplies() []string {
	return []string{
		"$KV.hawser-connections.org.bob.demo.default", "hawser.result.org.bob.demo.a.1",
		"hawser.action.org.bob.demo.a", "hawser.parked.action.1",
		"$JS.API.STREAM.PURGE.HAWSER_PARKED", "$JS.API.STREAM.DELETE.HAWSER_RESULTS",
	}
}

// This is why every tenant credential has an account of its own. Should it ever
// fail, the server has learnt to check reply subjects, and one account may do.
func TestInsideOneAccountAnAcknowledgementIsAWriteAnywhere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nc := dial(t, w.server, sharedUser(t, w.dir, "hawser.action.org.eve.>"))
	for _, reply := range evilReplies() {
		if err := nc.PublishRequest("hawser.action.org.eve.demo.a", reply, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	kv, err := w.js.KeyValue(ctx, "hawser-connections")
	if err != nil {
		t.Fatal(err)
	}
	watch, err := kv.Watch(ctx, "org.bob.demo.default")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watch.Stop() }()
	for {
		select {
		case entry := <-watch.Updates():
			if entry != nil {
				t.Logf("a user who may publish hawser.action.org.eve.> only wrote %s = %s", entry.Key(), entry.Value())
				return
			}
		case <-ctx.Done():
			t.Fatal("the acknowledgement was not written to the bucket")
		}
	}
}

// sharedUser has a tenant's permissions within Hawser's own account.
func sharedUser(t *testing.T, dir, subject string) nats.Option {
	t.Helper()
	var file struct {
		Seed string `json:"hawser_account"`
	}
	if err := json.Unmarshal(read(t, dir, "nats", "keys.json"), &file); err != nil {
		t.Fatal(err)
	}
	account, err := nkeys.FromSeed([]byte(file.Seed))
	if err != nil {
		t.Fatal(err)
	}
	token, seed := user(t, account, func(c *jwt.UserClaims) {
		c.Permissions.Pub.Allow.Add(subject)
		c.Permissions.Sub.Allow.Add("_INBOX.>")
	})
	return nats.UserJWTAndSeed(token, seed)
}

func TestAReplySubjectOfATenantChangesNothingAtHawsers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v, handler := collect()
	nc := dial(t, w.server, issue(t, w.dir, "org", "eve"), handler)
	if _, err := w.js.Publish(t.Context(), "hawser.parked.action.9", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.js.Publish(t.Context(), "hawser.result.org.bob.demo.a.0", nil); err != nil {
		t.Fatal(err)
	}
	seen := subscribe(t, w.nc, ">")
	replies := append(evilReplies(), "hawser.action.org.eve.demo.b", "hawser.api.connections.list", "$SYS.REQ.CLAIMS.UPDATE")
	for _, reply := range replies {
		msg := &nats.Msg{Subject: "hawser.action.org.eve.demo.a", Reply: reply, Data: []byte("{}")}
		if err := nc.PublishMsg(msg); err != nil {
			t.Fatal(err)
		}
	}
	// Another header that names a subject to write to. Ends the work of the above, too.
	trace := &nats.Msg{Subject: "hawser.action.org.eve.demo.a", Header: nats.Header{"Nats-Trace-Dest": {"hawser.result.org.bob.demo.a.1"}}}
	if err := nc.PublishMsg(trace); err != nil {
		t.Fatal(err)
	}
	if _, err := jetStream(t, nc).Publish(t.Context(), "hawser.action.org.eve.demo.a", nil); err != nil {
		t.Fatal(err)
	}
	awaitRefusal(t, v, nc)
	if !v.about("Publish", "hawser.result.org.bob.demo.a.1") {
		t.Error("tracing a message to a foreign subject was not refused")
	}
	if err := w.nc.Publish("end", nil); err != nil {
		t.Fatal(err)
	}
	for {
		msg, err := seen.NextMsgWithContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if msg.Subject == "end" {
			break
		}
		if msg.Subject != "hawser.action.org.eve.demo.a" && !strings.HasPrefix(msg.Subject, "_R_.") {
			t.Errorf("Hawser's account saw %s", msg.Subject)
		}
	}
	for stream, want := range map[string]uint64{
		"KV_hawser-connections": 0, "HAWSER_RESULTS": 1, "HAWSER_PARKED": 1, "HAWSER_ACTIONS": uint64(len(replies)) + 1,
	} {
		if got := w.count(t, stream); got != want {
			t.Errorf("%s holds %d messages, want %d", stream, got, want)
		}
	}
}

// The server takes an acknowledgement subject as a reply from nobody.
func TestAnAcknowledgementSubjectIsNoReplySubject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, reply := range []string{"$JS.ACK.HAWSER_ACTIONS.demo.1.1.1.1.0", "_R_.abc.def"} {
		v, handler := collect()
		nc := dial(t, w.server, issue(t, w.dir, "org", "eve"), handler)
		if err := nc.PublishRequest("hawser.action.org.eve.demo.a", reply, nil); err != nil {
			t.Fatal(err)
		}
		awaitRefusal(t, v, nc)
	}
	if got := w.count(t, "HAWSER_ACTIONS"); got != 0 {
		t.Errorf("stream holds %d messages, want none", got)
	}
}

// A stream that tenants publish to must not offer what acts on messages of
// others; one made without those features refuses the headers that ask for them.
func TestHeadersThatActOnOtherMessagesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.js.Publish(t.Context(), "hawser.action.org.bob.demo.a", nil); err != nil {
		t.Fatal(err)
	}
	js := jetStream(t, dial(t, w.server, issue(t, w.dir, "org", "eve")))
	now := time.Now().Add(-time.Second).UTC().Format(time.RFC3339Nano)
	for name, header := range map[string]nats.Header{
		"schedule":   {"Nats-Schedule": {"@at " + now}, "Nats-Schedule-Target": {"hawser.action.org.bob.demo.a"}},
		"source":     {"Nats-Schedule": {"@at " + now}, "Nats-Schedule-Target": {"hawser.action.org.eve.demo.b"}, "Nats-Schedule-Source": {"hawser.action.org.bob.demo.a"}},
		"unschedule": {"Nats-Scheduler": {"hawser.action.org.bob.demo.a"}, "Nats-Schedule-Next": {"purge"}},
		"rollup all": {"Nats-Rollup": {"all"}}, "rollup": {"Nats-Rollup": {"sub"}}, "ttl": {"Nats-TTL": {"1s"}},
		"batch": {"Nats-Batch-Id": {"b"}, "Nats-Batch-Sequence": {"1"}}, "counter": {"Nats-Incr": {"1"}},
		"source stream": {"Nats-Stream-Source": {"HAWSER_PARKED 9 > > x"}},
	} {
		_, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: "hawser.action.org.eve.demo.a", Header: header})
		if refusal := (&jetstream.APIError{}); !errors.As(err, &refusal) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
	if got := w.count(t, "HAWSER_ACTIONS"); got != 1 {
		t.Errorf("stream holds %d messages, want bob's alone", got)
	}
}
