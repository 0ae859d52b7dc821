package queue

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/events"
)

const day = 24 * time.Hour

// Topology is what a deployment may choose about the streams. Zero fields mean
// the default. The kinds of the streams are not a choice.
//
// The server sets aside what a stream may hold at most. A default in bytes gives
// way when the stream is made and the store has no room for it, and is not touched
// after that. A size that was chosen is insisted on.
type Topology struct {
	Replicas          int           // 1; 3 for a cluster
	ResultsMaxAge     time.Duration // 24 h: so long is a repeated request answered from memory
	ResultsMaxMsgs    int64         // 1,000,000: every subject costs memory
	ResultsMaxBytes   int64         // 2 GiB; the oldest give way
	WebhooksMaxAge    time.Duration // 72 h
	WebhooksMaxBytes  int64         // 8 GiB; full means 503, and the provider tries again
	EventsMaxAge      time.Duration // 7 days
	EventsMaxBytes    int64         // 2 GiB; the oldest give way
	EvidenceMaxAge    time.Duration // 30 days, quarantine and dead letters
	EvidenceMaxBytes  int64         // 1 GiB each; the oldest dead letters give way, a full quarantine refuses
	MinServerAPILevel int           // 4, which is server 2.14
}

// elastic reports whether the size of a stream is a default.
func (t Topology) elastic(s events.Stream) bool {
	switch s {
	case events.Results:
		return t.ResultsMaxBytes == 0
	case events.Webhooks:
		return t.WebhooksMaxBytes == 0
	case events.Lifecycle:
		return t.EventsMaxBytes == 0
	case events.Quarantine, Dead:
		return t.EvidenceMaxBytes == 0
	}
	return true
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
	count(&t.ResultsMaxBytes, 2<<30)
	count(&t.WebhooksMaxBytes, 8<<30)
	count(&t.EventsMaxBytes, 2<<30)
	count(&t.EvidenceMaxBytes, 1<<30)
	return t
}

// definition is one row of the table.
type definition struct {
	stream events.Stream
	jetstream.StreamConfig
}

// streams is the table. Schedules bring rollups with them, as the server has it.
func (t Topology) streams(n events.Subjects) []definition {
	const (
		queue  = jetstream.WorkQueuePolicy
		limits = jetstream.LimitsPolicy
	)
	below := func(names ...string) (subjects []string) {
		for _, name := range names {
			subjects = append(subjects, n.Prefix()+"."+name+".>")
		}
		return subjects
	}
	maxDeliveries := func(s events.Stream) string {
		return "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES." + n.StreamName(s) + ".>"
	}
	return []definition{{events.Actions, jetstream.StreamConfig{
		// Tenants publish here themselves, so the stream takes no header that acts
		// on other messages: no schedules, no TTL, no rollup. Its dedup window is
		// the smallest there is, because it is stream-wide: a tenant's Nats-Msg-Id
		// must not swallow another tenant's request. What makes a request's result
		// single is the subject of the result. No MaxMsgs, MaxBytes or MaxAge: the
		// server's store limit bounds it and answers 503, where they would drop.
		Description: "action requests", Subjects: []string{n.Actions()},
		Retention: queue, Duplicates: 100 * time.Millisecond,
	}}, {Parked, jetstream.StreamConfig{
		// Work that waits for its time; only our own programs publish here. Limits
		// would drop schedules silently, so there are none.
		Description: "action requests, webhooks and timers that wait for their time",
		Subjects:    below("parked.action", "due.action", "parked.webhook", "due.webhook", "parked.silence", "due.silence"),
		Retention:   queue, AllowMsgSchedules: true, AllowMsgTTL: true, AllowRollup: true,
	}}, {events.Results, jetstream.StreamConfig{
		// The first result on a subject wins, by expectation. Stored results are not
		// republished for those who wait: that halves the rate (decision 5).
		Description: "one result per action request", Subjects: below("result"),
		Retention: limits, MaxAge: t.ResultsMaxAge, MaxMsgs: t.ResultsMaxMsgs, MaxBytes: t.ResultsMaxBytes, AllowDirect: true,
	}}, {events.Webhooks, jetstream.StreamConfig{
		// One message a subject, and DiscardNew: the first copy of a delivery stays,
		// and a webhook that was acknowledged is never dropped for space.
		Description: "verified webhooks, raw", Subjects: below("webhook"),
		Retention: limits, MaxAge: t.WebhooksMaxAge, MaxBytes: t.WebhooksMaxBytes, AllowDirect: true,
		Discard: jetstream.DiscardNew, MaxMsgsPerSubject: 1, DiscardNewPerSubject: true, Duplicates: 100 * time.Millisecond,
		AllowAtomicPublish: true, // for [events.GroupCommit]
	}}, {events.Lifecycle, jetstream.StreamConfig{
		Description: "lifecycle events", Subjects: below("event"),
		Retention: limits, MaxAge: t.EventsMaxAge, MaxBytes: t.EventsMaxBytes, AllowDirect: true,
	}}, {Refresh, jetstream.StreamConfig{
		Description: "when each grant's token is to be renewed", Subjects: below("timer.refresh", "due.refresh"),
		Retention: queue, AllowMsgSchedules: true, AllowMsgTTL: true, AllowRollup: true,
	}}, {events.Quarantine, jetstream.StreamConfig{
		// DiscardNew: it also keeps deliveries that were answered 2xx, for
		// connections that are disabled. Those who write mere evidence leave room.
		Description: "refused deliveries, redacted", Subjects: below("quarantine"),
		Retention: limits, MaxAge: t.EvidenceMaxAge, MaxBytes: t.EvidenceMaxBytes, AllowDirect: true,
		Discard: jetstream.DiscardNew,
	}}, {Dead, jetstream.StreamConfig{
		Description: "what was given up on", Subjects: below("dead"),
		Retention: limits, MaxAge: t.EvidenceMaxAge, MaxBytes: t.EvidenceMaxBytes, AllowDirect: true,
	}}, {Advisories, jetstream.StreamConfig{
		// The server's last word on messages whose deliveries ran out.
		Description: "deliveries that ran out", Subjects: []string{maxDeliveries(events.Actions), maxDeliveries(Parked), maxDeliveries(events.Webhooks)},
		Retention: limits, MaxAge: 7 * day, MaxBytes: 64 << 20,
	}}}
}
