package queue

import (
	"cmp"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/events"
)

const (
	day            = 24 * time.Hour
	fullAuditBytes = 256 << 20
)

// Topology is what a deployment can choose about the streams. A zero field means: of an
// existing stream as it is, of a new one the default, which is given here. The retention
// policies are not a choice.
//
// The server reserves the maximum size of a stream. A default size is at most a share of
// what there is, and is reduced further where the store has not enough room. That is
// reported, marked on the stream, and undone by the first Ensure that finds room. A chosen
// size that does not fit is an error.
type Topology struct {
	Replicas          int           // 3 in a cluster, else 1
	ActionsMaxBytes   int64         // 1 GiB where StoreBytes is known, else no limit; when full, requests are refused, and other streams have room
	ResultsMaxAge     time.Duration // 24 h: so long a repeated request gets the stored result
	ResultsMaxMsgs    int64         // 1,000,000: every subject costs memory
	ResultsMaxBytes   int64         // 2 GiB; when full, the oldest are removed
	WebhooksMaxAge    time.Duration // 72 h
	WebhooksMaxBytes  int64         // 8 GiB; when full, providers get 503 and try again
	EventsMaxAge      time.Duration // 7 days
	EventsMaxBytes    int64         // 2 GiB; when full, the oldest are removed
	EvidenceMaxAge    time.Duration // 30 days, of quarantine and dead letters
	EvidenceMaxBytes  int64         // 1 GiB each; when full, the oldest dead letters are removed, and nothing more is quarantined
	MinServerAPILevel int           // 4, which is server 2.14
	// StoreBytes is what the store can hold in all, 0 if that is not known. A limit of the
	// NATS account is used where there is one.
	StoreBytes int64
}

func (t Topology) withDefaults() Topology {
	// share bounds a default size to some sixteenths of what there is. All shares together
	// leave a sixteenth to parked work and records.
	share := func(chosen, size, sixteenths int64) int64 {
		if t.StoreBytes > 0 {
			size = min(size, max(t.StoreBytes/16*sixteenths, minStreamBytes))
		}
		return cmp.Or(chosen, size)
	}
	if t.StoreBytes > 0 {
		t.ActionsMaxBytes = share(t.ActionsMaxBytes, 1<<30, 1)
	}
	t.ResultsMaxAge = cmp.Or(t.ResultsMaxAge, day)
	t.ResultsMaxMsgs = cmp.Or(t.ResultsMaxMsgs, 1_000_000)
	t.ResultsMaxBytes = share(t.ResultsMaxBytes, 2<<30, 2)
	t.WebhooksMaxAge = cmp.Or(t.WebhooksMaxAge, 3*day)
	t.WebhooksMaxBytes = share(t.WebhooksMaxBytes, 8<<30, 6) // and a quarter of that for large bodies
	t.EventsMaxAge = cmp.Or(t.EventsMaxAge, 7*day)
	t.EventsMaxBytes = share(t.EventsMaxBytes, 2<<30, 2)
	t.EvidenceMaxAge = cmp.Or(t.EvidenceMaxAge, 30*day)
	t.EvidenceMaxBytes = share(t.EvidenceMaxBytes, 1<<30, 1) // twice, and a quarter of one for large bodies
	t.MinServerAPILevel = cmp.Or(t.MinServerAPILevel, 4)
	return t
}

// chosen are the limits of a stream that the deployment has chosen; zero fields were not.
type chosen struct {
	maxAge   time.Duration
	maxBytes int64
	maxMsgs  int64
	setting  string // that of maxBytes, for errors
}

// definition is one row of the table.
type definition struct {
	stream events.Stream
	chosen chosen
	full   int64 // MaxBytes in a store with enough room
	jetstream.StreamConfig
}

// streams returns the table. The server requires rollups where it allows schedules.
func (t Topology) streams(n events.Subjects) []definition {
	actions := chosen{0, t.ActionsMaxBytes, 0, "--actions-max-bytes"}
	results := chosen{t.ResultsMaxAge, t.ResultsMaxBytes, t.ResultsMaxMsgs, "--results-max-bytes"}
	webhooks := chosen{t.WebhooksMaxAge, t.WebhooksMaxBytes, 0, "--webhooks-max-bytes"}
	lifecycle := chosen{t.EventsMaxAge, t.EventsMaxBytes, 0, "--events-max-bytes"}
	evidence := chosen{t.EvidenceMaxAge, t.EvidenceMaxBytes, 0, "--evidence-max-bytes"}
	replicas, full := t.Replicas, Topology{}.withDefaults()
	t = t.withDefaults()
	// Room for about half a million entries, where there is room.
	auditBytes := max(min(fullAuditBytes, t.EvidenceMaxBytes/4), minStreamBytes)
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
	maxDeliveries := func(s events.Stream, rest string) string {
		return "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES." + n.StreamName(s) + "." + rest
	}
	table := []definition{{Advisories, chosen{}, 16 << 20, jetstream.StreamConfig{
		Description: "advisories of messages that reached their maximum deliveries", Subjects: []string{maxDeliveries(events.Actions, ">"), maxDeliveries(Parked, ">"), maxDeliveries(events.Webhooks, ">")},
		Retention: limits, MaxAge: 7 * day, MaxBytes: 16 << 20,
	}}, {events.Actions, actions, t.ActionsMaxBytes, jetstream.StreamConfig{
		// Tenants publish here, so no header may act on other messages: no schedules,
		// no TTL, no rollup. The duplicate window is stream-wide, and a tenant's
		// Nats-Msg-Id must not drop another tenant's request: the server has no window
		// only for a stream with a source, so there is one that has no messages. A
		// request has one result because of the result's subject. Nothing is dropped: when it
		// is full, the stream refuses requests, and results and records have room.
		Description: "action requests", Subjects: []string{n.Actions()},
		Retention: queue, MaxBytes: t.ActionsMaxBytes, Discard: jetstream.DiscardNew, Sources: []*jetstream.StreamSource{{Name: n.StreamName(Advisories), FilterSubject: maxDeliveries(events.Actions, "none.none")}},
	}}, {Parked, chosen{}, 0, jetstream.StreamConfig{
		// Only Hawser's programs publish here. There are no limits: they would drop
		// schedules without a trace.
		Description: "action requests, webhooks and timers that wait for their time",
		Subjects:    below("parked.action", "due.action", "parked.webhook", "due.webhook", "parked.silence", "due.silence", "parked.subscription", "due.subscription"),
		Retention:   queue, AllowMsgSchedules: true, AllowMsgTTL: true, AllowRollup: true,
	}}, {events.Results, results, full.ResultsMaxBytes, jetstream.StreamConfig{
		// A result is published expecting that its subject is empty. The stream does not
		// republish: that halves its rate (decision 5).
		Description: "one result per action request", Subjects: below("result"),
		Retention: limits, MaxAge: t.ResultsMaxAge, MaxMsgs: t.ResultsMaxMsgs, MaxBytes: t.ResultsMaxBytes, AllowDirect: true,
	}}, {events.Webhooks, webhooks, full.WebhooksMaxBytes, jetstream.StreamConfig{
		// One message a subject, and DiscardNew: the first copy of a delivery stays, and
		// an acknowledged webhook is never removed for space.
		Description: "verified webhooks, raw", Subjects: below("webhook"),
		Retention: limits, MaxAge: t.WebhooksMaxAge, MaxBytes: t.WebhooksMaxBytes, AllowDirect: true,
		Discard: jetstream.DiscardNew, MaxMsgsPerSubject: 1, DiscardNewPerSubject: true, Duplicates: 100 * time.Millisecond,
		AllowAtomicPublish: true, // for [events.GroupCommit]
	}}, {events.Lifecycle, lifecycle, full.EventsMaxBytes, jetstream.StreamConfig{
		Description: "lifecycle events", Subjects: below("event"),
		Retention: limits, MaxAge: t.EventsMaxAge, MaxBytes: t.EventsMaxBytes, AllowDirect: true,
	}}, {Refresh, chosen{}, 0, jetstream.StreamConfig{
		Description: "when each grant's token is to be renewed", Subjects: below("timer.refresh", "due.refresh"),
		Retention: queue, AllowMsgSchedules: true, AllowMsgTTL: true, AllowRollup: true,
	}}, {events.Quarantine, evidence, full.EvidenceMaxBytes, jetstream.StreamConfig{
		// DiscardNew: the stream also holds deliveries for disabled connections, which
		// were answered 2xx and must not be removed.
		Description: "refused deliveries, redacted", Subjects: below("quarantine"),
		Retention: limits, MaxAge: t.EvidenceMaxAge, MaxBytes: t.EvidenceMaxBytes, AllowDirect: true,
		Discard: jetstream.DiscardNew,
	}}, {Dead, evidence, full.EvidenceMaxBytes, jetstream.StreamConfig{
		Description: "requests and webhooks whose attempts are over", Subjects: below("dead"),
		Retention: limits, MaxAge: t.EvidenceMaxAge, MaxBytes: t.EvidenceMaxBytes, AllowDirect: true,
	}}, {Audit, chosen{}, fullAuditBytes, jetstream.StreamConfig{
		// No age: so that entries at the beginning are missing only once the stream was full.
		Description: "who did what", Subjects: []string{n.Prefix() + ".audit.entry"},
		Retention: limits, MaxBytes: auditBytes, AllowDirect: true,
	}}, {Probe, chosen{}, 0, jetstream.StreamConfig{
		// No MaxBytes: nothing is reserved, so that it fits into every store.
		Description: "one message of each process, which shows that the store takes writes", Subjects: below("probe"),
		Retention: limits, MaxAge: time.Hour, MaxMsgs: 1000, MaxMsgsPerSubject: 1,
	}}}
	for i := range table {
		row := &table[i]
		row.Name, row.Storage, row.Replicas = n.StreamName(row.stream), jetstream.FileStorage, replicas
	}
	return table
}
