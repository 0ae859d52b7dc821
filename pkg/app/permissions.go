package app

import (
	"strings"

	"github.com/hawser-io/hawser/internal/embedded"
	"github.com/hawser-io/hawser/pkg/events"
)

// inboxOf returns where replies to a program arrive, of "hawser-ingress" _INBOX.ingress. A
// role may subscribe to its own inboxes only.
func inboxOf(name string) string { return "_INBOX." + strings.TrimPrefix(name, "hawser-") }

// roleUsers returns the NATS users of the roles with the subjects that their work needs.
// Only the ingress creates and updates streams and buckets, so it starts first; the others
// compare them and find no difference.
//
// They limit what a role does by mistake, and what it can read. They do not stop a program
// that has been taken over: in one account an acknowledgement can be directed to every
// subject (decision 2).
func roleUsers(s events.Subjects) []embedded.Role {
	return []embedded.Role{ingressUser(s), executorUser(s), refresherUser(s)}
}

func ingressUser(s events.Subjects) embedded.Role {
	p := newPermissions(s, "ingress")
	p.publish("$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.UPDATE.*")
	p.writeBuckets("connections", "webhooks", "routes", "status", "connectors", "keys", "tokens", "grants", "flows", "leases", "apps", "sessions", "settings", "marks", "subscriptions")
	p.readBuckets("connections", "webhooks", "routes", "status", "connectors", "keys", "tokens", "grants", "flows", "leases", "apps", "sessions", "settings", "marks", "subscriptions")
	p.publishBelow("action", "event", "webhook", "quarantine", "timer.refresh", "due.webhook", "validate", "audit")
	p.publish(s.Prefix() + ".subscription")
	p.subscribeBelow("api", "stored", "event")
	p.readStreams("ACTIONS", "RESULTS", "WEBHOOKS", "EVENTS", "QUARANTINE", "DEAD", "PARKED", "AUDIT")
	p.scanStreams("WEBHOOKS", "EVENTS", "QUARANTINE", "DEAD", "RESULTS", "AUDIT")
	p.removeFrom("QUARANTINE", "DEAD")
	p.bodies("bodies", true)
	p.bodies("dead-bodies", false)
	return p.Role
}

func executorUser(s events.Subjects) embedded.Role {
	p := newPermissions(s, "executor")
	p.writeBuckets("connections", "webhooks", "routes", "status", "connectors", "claims", "grants", "leases", "marks", "subscriptions")
	p.readBuckets("connections", "webhooks", "routes", "status", "connectors", "claims", "grants", "leases", "apps", "keys", "tokens", "settings", "marks", "subscriptions")
	p.publishBelow("action", "event", "result", "stored", "quarantine", "dead", "parked", "due", "timer.refresh")
	p.subscribeBelow("call", "validate", "stored")
	p.Subscribe = append(p.Subscribe, s.Prefix()+".subscription")
	p.readStreams("ACTIONS", "PARKED", "RESULTS", "WEBHOOKS", "ADVISORIES", "EVENTS")
	p.consume("ACTIONS", "PARKED", "WEBHOOKS", "ADVISORIES", "EVENTS")
	p.removeFrom("ACTIONS", "PARKED", "WEBHOOKS")
	p.bodies("bodies", false)
	p.bodies("dead-bodies", true)
	return p.Role
}

func refresherUser(s events.Subjects) embedded.Role {
	p := newPermissions(s, "refresher")
	p.writeBuckets("connections", "webhooks", "routes", "grants", "leases", "marks")
	p.readBuckets("connections", "webhooks", "routes", "status", "connectors", "grants", "leases", "apps", "keys", "tokens", "settings", "marks")
	p.publishBelow("event", "timer.refresh", "due.refresh")
	p.readStreams("REFRESH")
	p.consume("REFRESH")
	p.removeFrom("REFRESH")
	return p.Role
}

// permissions collects the subjects of a role. Names of streams and buckets are without the
// installation's prefix.
type permissions struct {
	embedded.Role
	subjects events.Subjects
}

// newPermissions returns what every role may: look at streams and buckets, store its probe,
// reply, and be found by `nats micro`.
func newPermissions(s events.Subjects, role string) *permissions {
	p := &permissions{embedded.Role{Name: role}, s}
	p.publish("$JS.API.INFO", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.LIST", "_INBOX.>")
	p.publishBelow("probe")
	p.Subscribe = append(p.Subscribe, inboxOf(role)+".>", "$SRV.>")
	return p
}

func (p *permissions) publish(subjects ...string) { p.Publish = append(p.Publish, subjects...) }

func (p *permissions) publishBelow(kinds ...string) {
	for _, kind := range kinds {
		p.publish(p.subjects.Prefix() + "." + kind + ".>")
	}
}

func (p *permissions) subscribeBelow(kinds ...string) {
	for _, kind := range kinds {
		p.Subscribe = append(p.Subscribe, p.subjects.Prefix()+"."+kind+".>")
	}
}

func (p *permissions) writeBuckets(names ...string) {
	for _, name := range names {
		p.publish("$KV." + p.subjects.Bucket(name) + ".>")
	}
}

func (p *permissions) readBuckets(names ...string) {
	for _, name := range names {
		p.scan("KV_" + p.subjects.Bucket(name))
	}
}

// readStreams permits to read single messages.
func (p *permissions) readStreams(names ...events.Stream) {
	for _, name := range names {
		p.read(p.subjects.StreamName(name))
	}
}

// scanStreams permits to read messages in order.
func (p *permissions) scanStreams(names ...events.Stream) {
	for _, name := range names {
		p.scan(p.subjects.StreamName(name))
	}
}

// consume permits to make durable consumers, to receive and acknowledge their messages, and
// to have one continue elsewhere.
func (p *permissions) consume(names ...events.Stream) {
	for _, name := range names {
		stream := p.subjects.StreamName(name)
		p.publish("$JS.API.CONSUMER.CREATE."+stream+".>", "$JS.API.CONSUMER.DURABLE.CREATE."+stream+".*", "$JS.API.CONSUMER.INFO."+stream+".*",
			"$JS.API.CONSUMER.MSG.NEXT."+stream+".*", "$JS.API.CONSUMER.RESET."+stream+".*",
			"$JS.ACK."+stream+".>", "$JS.ACK.*.*."+stream+".>") // with and without domain and account
	}
}

func (p *permissions) removeFrom(names ...events.Stream) {
	for _, name := range names {
		p.publish("$JS.API.STREAM.MSG.DELETE." + p.subjects.StreamName(name))
	}
}

// bodies permits to read an object store, and to write it.
func (p *permissions) bodies(name string, write bool) {
	bucket := p.subjects.Bucket(name)
	p.scan("OBJ_" + bucket)
	if write {
		p.publish("$O."+bucket+".>", "$JS.API.STREAM.PURGE.OBJ_"+bucket)
	}
}

func (p *permissions) read(stream string) {
	p.publish("$JS.API.STREAM.MSG.GET."+stream, "$JS.API.DIRECT.GET."+stream, "$JS.API.DIRECT.GET."+stream+".>")
}

func (p *permissions) scan(stream string) {
	p.read(stream)
	p.publish("$JS.API.CONSUMER.CREATE."+stream, "$JS.API.CONSUMER.CREATE."+stream+".>", "$JS.API.CONSUMER.INFO."+stream+".*",
		"$JS.API.CONSUMER.MSG.NEXT."+stream+".*", "$JS.API.CONSUMER.DELETE."+stream+".*", "$JS.FC."+stream+".>")
}
