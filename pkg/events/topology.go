package events

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Stream names one of the streams; [Names.Stream] gives its full name.
type Stream string

// The streams. What each holds and why it is of its kind stands in the table of
// [Topology.streams].
const (
	Actions    Stream = "ACTIONS"
	Parked     Stream = "PARKED"
	Results    Stream = "RESULTS"
	Webhooks   Stream = "WEBHOOKS"
	Lifecycle  Stream = "EVENTS"
	Refresh    Stream = "REFRESH"
	Quarantine Stream = "QUARANTINE"
	Dead       Stream = "DEAD"
	Advisories Stream = "ADVISORIES"
)

const day = 24 * time.Hour

// Topology is what a deployment may choose about the streams. Zero fields mean
// the default. The kinds of the streams are not a choice.
type Topology struct {
	Replicas          int           // 1; 3 for a cluster
	ResultsMaxAge     time.Duration // 24 h: so long is a repeated request answered from memory
	ResultsMaxMsgs    int64         // 1,000,000: every subject costs memory
	WebhooksMaxAge    time.Duration // 72 h
	WebhooksMaxBytes  int64         // 8 GiB; full means 503, and the provider tries again
	EventsMaxAge      time.Duration // 7 days
	EvidenceMaxAge    time.Duration // 30 days, quarantine and dead letters
	EvidenceMaxBytes  int64         // 1 GiB each
	MinServerAPILevel int           // 4, which is server 2.14
}

func (t Topology) withDefaults() Topology {
	set := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	count := func(v *int64, d int64) {
		if *v == 0 {
			*v = d
		}
	}
	if t.Replicas == 0 {
		t.Replicas = 1
	}
	if t.MinServerAPILevel == 0 {
		t.MinServerAPILevel = 4
	}
	set(&t.ResultsMaxAge, day)
	set(&t.WebhooksMaxAge, 3*day)
	set(&t.EventsMaxAge, 7*day)
	set(&t.EvidenceMaxAge, 30*day)
	count(&t.ResultsMaxMsgs, 1_000_000)
	count(&t.WebhooksMaxBytes, 8<<30)
	count(&t.EvidenceMaxBytes, 1<<30)
	return t
}

// streams is the table.
func (t Topology) streams(n Names) []jetstream.StreamConfig {
	const (
		queue  = jetstream.WorkQueuePolicy
		limits = jetstream.LimitsPolicy
	)
	below := func(s string) []string { return []string{n.prefix + "." + s + ".>"} }
	return []jetstream.StreamConfig{{
		// Tenants publish here themselves, so the stream takes no header that acts
		// on other messages: no schedules, no TTL, no rollup. Its dedup window is
		// the smallest there is, because it is stream-wide: a tenant's Nats-Msg-Id
		// must not swallow another tenant's request. What makes a request's result
		// single is the subject of the result. No MaxMsgs, MaxBytes or MaxAge: the
		// server's store limit bounds it and answers 503, where they would drop.
		Name: n.Stream(Actions), Subjects: []string{n.Actions()},
		Description: "action requests", Retention: queue, Duplicates: 100 * time.Millisecond,
	}, {
		// Work that waits for its time; only our own programs publish here. Limits
		// would drop schedules silently, so there are none.
		Name: n.Stream(Parked), Subjects: []string{n.prefix + ".parked.action.>", n.prefix + ".due.action.>", n.prefix + ".parked.webhook.>", n.prefix + ".due.webhook.>",
			n.prefix + ".parked.silence.>", n.prefix + ".due.silence.>"},
		Description: "action requests and webhooks to be tried again at a later time",
		Retention:   queue, AllowMsgSchedules: true, AllowMsgTTL: true,
	}, {
		// The first result on a subject wins, by expectation.
		Name: n.Stream(Results), Subjects: below("result"), Description: "one result per action request",
		Retention: limits, MaxAge: t.ResultsMaxAge, MaxMsgs: t.ResultsMaxMsgs, AllowDirect: true,
	}, {
		// DiscardNew: an event that was acknowledged is never dropped for space.
		Name: n.Stream(Webhooks), Subjects: below("webhook"), Description: "verified webhooks, raw",
		Retention: limits, MaxAge: t.WebhooksMaxAge, MaxBytes: t.WebhooksMaxBytes,
		Discard: jetstream.DiscardNew, Duplicates: 10 * time.Minute, AllowDirect: true,
	}, {
		Name: n.Stream(Lifecycle), Subjects: below("event"), Description: "lifecycle events",
		Retention: limits, MaxAge: t.EventsMaxAge, AllowDirect: true,
	}, {
		Name: n.Stream(Refresh), Subjects: []string{n.prefix + ".timer.refresh.>", n.prefix + ".due.refresh.>"},
		Description: "when each grant's token is to be renewed",
		Retention:   queue, AllowMsgSchedules: true, AllowMsgTTL: true,
	}, {
		// DiscardNew: it also keeps deliveries that were answered 2xx, for
		// connections that are disabled. Those who write mere evidence leave room.
		Name: n.Stream(Quarantine), Subjects: below("quarantine"), Description: "refused deliveries, redacted",
		Retention: limits, MaxAge: t.EvidenceMaxAge, MaxBytes: t.EvidenceMaxBytes, Discard: jetstream.DiscardNew, AllowDirect: true,
	}, {
		Name: n.Stream(Dead), Subjects: below("dead"), Description: "what was given up on",
		Retention: limits, MaxAge: t.EvidenceMaxAge, MaxBytes: t.EvidenceMaxBytes, AllowDirect: true,
	}, {
		// The server's last word on messages whose deliveries ran out.
		Name: n.Stream(Advisories),
		Subjects: []string{"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES." + n.Stream(Actions) + ".>", "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES." + n.Stream(Parked) + ".>",
			"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES." + n.Stream(Webhooks) + ".>"},
		Description: "deliveries that ran out", Retention: limits, MaxAge: 7 * day,
	}}
}

// Drift is one setting of a stream that Ensure found different and changed.
type Drift struct{ Stream, Setting, Was, Is string }

func (d Drift) String() string {
	return fmt.Sprintf("stream %s: %s was %s, is %s", d.Stream, d.Setting, d.Was, d.Is)
}

// Ensure creates the streams that are missing and updates those that differ. It
// may be called by any number of processes at once, again and again. It returns
// what it changed in streams that existed. A server that is too old is an error
// that says so.
func (b *Bus) Ensure(ctx context.Context, t Topology) ([]Drift, error) {
	t = t.withDefaults()
	info, err := b.js.AccountInfo(ctx)
	if err != nil {
		return nil, fmt.Errorf("events: ask the server for JetStream: %w", unavailable(err))
	}
	if info.API.Level < t.MinServerAPILevel {
		return nil, fmt.Errorf("events: the NATS server %s offers JetStream API level %d, and level %d is needed: run nats-server 2.14 or newer",
			b.nc.ConnectedServerVersion(), info.API.Level, t.MinServerAPILevel)
	}
	var drift []Drift
	for _, want := range t.streams(b.Names) {
		want.Storage, want.Replicas = jetstream.FileStorage, t.Replicas
		d, err := b.ensureStream(ctx, want)
		if err != nil {
			return drift, err
		}
		drift = append(drift, d...)
	}
	return drift, b.ensureBodies(ctx, t)
}

func (b *Bus) ensureStream(ctx context.Context, want jetstream.StreamConfig) ([]Drift, error) {
	existing, err := b.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		// Another process may create it at the same time: the same config is no conflict.
		_, err = b.js.CreateOrUpdateStream(ctx, want)
		return nil, wrapStream(err, "create", want.Name)
	}
	if err != nil {
		return nil, wrapStream(unavailable(err), "look up", want.Name)
	}
	drift := compare(existing.CachedInfo().Config, want)
	if len(drift) == 0 {
		return nil, nil
	}
	_, err = b.js.UpdateStream(ctx, want)
	return drift, wrapStream(err, "update", want.Name)
}

func wrapStream(err error, operation, name string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("events: %s stream %s: %w", operation, name, err)
}

func compare(was, want jetstream.StreamConfig) []Drift {
	var out []Drift
	check := func(setting string, a, b any) {
		if fmt.Sprint(a) != fmt.Sprint(b) {
			out = append(out, Drift{want.Name, setting, fmt.Sprint(a), fmt.Sprint(b)})
		}
	}
	unlimited := func(v int64) int64 {
		if v == 0 {
			return -1
		}
		return v
	}
	check("subjects", strings.Join(was.Subjects, " "), strings.Join(want.Subjects, " "))
	check("max age", was.MaxAge, want.MaxAge)
	check("max messages", was.MaxMsgs, unlimited(want.MaxMsgs))
	check("max bytes", was.MaxBytes, unlimited(want.MaxBytes))
	check("discard", was.Discard, want.Discard)
	check("replicas", was.Replicas, want.Replicas)
	if want.Duplicates != 0 {
		check("duplicate window", was.Duplicates, want.Duplicates)
	}
	check("schedules", was.AllowMsgSchedules, want.AllowMsgSchedules)
	check("message TTL", was.AllowMsgTTL, want.AllowMsgTTL)
	check("direct reads", was.AllowDirect, want.AllowDirect)
	return out
}

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}
