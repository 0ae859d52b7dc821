package events

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// DefaultPrefix is the first token of every subject unless it is set otherwise.
const DefaultPrefix = "hawser"

// ErrSubject is returned for a subject that is not one of ours.
var ErrSubject = errors.New("events: not a subject of this system")

// Stream identifies a stream; [Subjects.StreamName] gives its full name.
type Stream string

// The streams that applications publish to and read.
const (
	Actions    Stream = "ACTIONS"
	Results    Stream = "RESULTS"
	Webhooks   Stream = "WEBHOOKS"
	Lifecycle  Stream = "EVENTS"
	Quarantine Stream = "QUARANTINE"
)

// Tenant is a scope (the kind: organization, user, system …) and an identity of
// it (any string of up to 128 bytes; empty only where the scope is optional).
type Tenant struct {
	Scope    string `json:"scope"`
	Identity string `json:"identity"`
}

// Tokens returns "<scope>.<identity>", escaped.
func (t Tenant) Tokens() string { return Token(t.Scope) + "." + Token(t.Identity) }

// Subjects builds and parses the subjects of one installation. The zero value is
// not usable; see [NewSubjects].
//
//	<prefix>.action.<scope>.<identity>.<connector>.<action>
//	<prefix>.result.<scope>.<identity>.<connector>.<action>.<request id>   see [Action.Reference]
//	<prefix>.stored.<scope>.<identity>.<connector>.<action>.<request id>   the result again, after the stream has stored it
//	<prefix>.event.<scope>.<identity>.<connector>.<noun>.<verb>
//	<prefix>.webhook.<scope>.<identity>.<connector>.<type>.<delivery>   one message a subject, see [Subjects.Webhook]
//	<prefix>.quarantine.<connector>.<reason>
//	<prefix>.call.<scope>.<identity>.<connector>.<action>
//	<prefix>.validate.<connector>               an executor runs a connector's Validate
//	<prefix>.subscription                       an executor compares a connection's webhook registration
//	<prefix>.api.<operation>
//
// The subjects of parked work, timers and dead letters are in internal/queue.
type Subjects struct{ prefix string }

var prefixPattern = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

// NewSubjects returns the subjects below prefix ("" is [DefaultPrefix]), which must
// be a single token of lower-case letters, digits, _ and -: streams are named in
// upper case, and no two installations may share one.
func NewSubjects(prefix string) (Subjects, error) {
	if prefix == "" {
		prefix = DefaultPrefix
	}
	if !prefixPattern.MatchString(prefix) {
		return Subjects{}, fmt.Errorf("events: prefix %q: a single token of at most 32 lower-case letters, digits, _ and - is needed", prefix)
	}
	return Subjects{prefix}, nil
}

// Prefix returns the first token of every subject.
func (s Subjects) Prefix() string { return s.prefix }

// StreamName returns the name of a stream, HAWSER_ACTIONS for example. It begins
// with the prefix, so that installations can share one NATS system.
func (s Subjects) StreamName(stream Stream) string {
	return strings.ToUpper(s.prefix) + "_" + string(stream)
}

// Bucket returns the name of a KV bucket, hawser-connections for example.
func (s Subjects) Bucket(name string) string { return s.prefix + "-" + name }

// Action is the subject of requests for an action.
func (s Subjects) Action(r ActionRef) string { return s.prefix + ".action." + r.tokens() }

// Actions matches every action request.
func (s Subjects) Actions() string { return s.prefix + ".action.>" }

// ActionFilter matches every action request for a connector.
func (s Subjects) ActionFilter(connector string) string {
	return s.prefix + ".action.*.*." + Token(connector) + ".>"
}

// Result is the subject of the one result of a request of the default account.
func (s Subjects) Result(r ActionRef, requestID string) string {
	return s.ResultOf(Reference(r, requestID))
}

// ResultOf is the subject of the one result of a request; see [Action.Reference].
func (s Subjects) ResultOf(reference string) string { return s.prefix + ".result." + reference }

// ResultFilter matches the results of a request id of the default account, of every tenant
// and action.
func (s Subjects) ResultFilter(requestID string) string {
	return s.resultFilter("", requestID)
}

func (s Subjects) resultFilter(account, requestID string) string {
	return s.prefix + ".result.*.*.*.*." + requestToken(account, requestID)
}

// storedResult is the subject on which a result is published again after the stream
// has stored it. A subscriber of [Subjects.Result] would also receive results that
// the stream refuses.
func (s Subjects) storedResult(reference string) string { return s.prefix + ".stored." + reference }

// Event is the subject of a lifecycle event, kind being "noun.verb".
func (s Subjects) Event(t Tenant, connector string, kind Kind) string {
	return s.prefix + ".event." + t.Tokens() + "." + Token(connector) + "." + string(kind)
}

// ConnectorEvents matches the lifecycle events connector.* of every connection.
func (s Subjects) ConnectorEvents() string { return s.prefix + ".event.*.*.*.connector.*" }

// Webhook returns the subject of a verified webhook of the provider's event type
// ("" becomes "unknown"). delivery is a [DeliveryToken]. A webhook is published with
// [PublishOptions.ExpectEmpty], so the stream refuses a repetition for as long as it
// holds the first copy.
func (s Subjects) Webhook(t Tenant, connector, eventType, delivery string) string {
	if eventType == "" {
		eventType = "unknown"
	}
	return s.prefix + ".webhook." + t.Tokens() + "." + Token(connector) + "." + Token(eventType) + "." + delivery
}

// DeliveryOrigin says what the id in a [DeliveryToken] is. Equal ids of different
// origins have different tokens.
type DeliveryOrigin string

// The origins.
const (
	FromProvider   DeliveryOrigin = "provider"   // the provider's delivery id, or one derived from the body
	FromRequest    DeliveryOrigin = "request"    // the id of the HTTP request: nothing identifies the delivery
	FromQuarantine DeliveryOrigin = "quarantine" // the id of the evidence that is redriven
	FromReplay     DeliveryOrigin = "replay"     // the id of the event that a replay makes
)

// DeliveryToken returns the last token of a webhook's subject: 22 characters, the
// first 128 bits of the SHA-256 of the connection's id, the origin and the id.
func DeliveryToken(connectionID string, origin DeliveryOrigin, id string) string {
	h := sha256.New()
	for _, part := range []string{connectionID, string(origin), id} {
		// The length prefixes keep ("ab","c") apart from ("a","bc").
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// Webhooks matches every verified webhook.
func (s Subjects) Webhooks() string { return s.prefix + ".webhook.>" }

// WebhookFilter matches every verified webhook of a connector.
func (s Subjects) WebhookFilter(connector string) string {
	return s.prefix + ".webhook.*.*." + Token(connector) + ".>"
}

// Quarantine is the subject of deliveries refused for reason.
func (s Subjects) Quarantine(connector, reason string) string {
	return s.prefix + ".quarantine." + Token(connector) + "." + Token(reason)
}

// Call is the subject of an action by request-reply.
func (s Subjects) Call(r ActionRef) string { return s.prefix + ".call." + r.tokens() }

// Calls matches every action by request-reply.
func (s Subjects) Calls() string { return s.prefix + ".call.>" }

// Validate is the subject on which executors check a new connection's config.
func (s Subjects) Validate(connector string) string {
	return s.prefix + ".validate." + Token(connector)
}

// Subscription is the subject on which executors compare a connection's webhook registration
// with what the provider has. The request is {"key": the key of the connection's record}.
func (s Subjects) Subscription() string { return s.prefix + ".subscription" }

// API is the subject of a control operation, connections.list for example.
func (s Subjects) API(operation string) string { return s.prefix + ".api." + operation }

// ActionRef identifies an action of a tenant.
type ActionRef struct {
	Tenant
	Connector string
	Action    string
}

func (r ActionRef) tokens() string {
	return r.Tenant.Tokens() + "." + Token(r.Connector) + "." + Token(r.Action)
}

// ParseAction parses a subject of [Subjects.Action] or [Subjects.Call].
func (s Subjects) ParseAction(subject string) (ActionRef, error) {
	tokens := strings.Split(subject, ".")
	if len(tokens) != 6 || tokens[0] != s.prefix || tokens[1] != "action" && tokens[1] != "call" {
		return ActionRef{}, fmt.Errorf("%w: %.200q is not <prefix>.action.<scope>.<identity>.<connector>.<action>", ErrSubject, subject)
	}
	return parseRef(tokens[2:])
}

// ParseResult parses a subject of [Subjects.ResultOf]. Account and request id are returned
// as their token, since long ones are hashed there.
func (s Subjects) ParseResult(subject string) (ActionRef, string, error) {
	tokens := strings.Split(subject, ".")
	if len(tokens) != 7 || tokens[0] != s.prefix || tokens[1] != "result" {
		return ActionRef{}, "", fmt.Errorf("%w: %.200q is not <prefix>.result.<scope>.<identity>.<connector>.<action>.<id>", ErrSubject, subject)
	}
	ref, err := parseRef(tokens[2:6])
	return ref, tokens[6], err
}

// parseReference reverses [Reference], into the subject of the result.
func (s Subjects) parseReference(reference string) (subject string, ok bool) {
	tokens := strings.Split(reference, ".")
	if len(tokens) != 5 || !isRequestToken(tokens[4]) {
		return "", false
	}
	_, err := parseRef(tokens[:4])
	return s.ResultOf(reference), err == nil
}

// WebhookSubject is what the subject of a stored webhook says.
type WebhookSubject struct {
	Tenant
	Connector string
	Type      string // token of the provider's event type, since a long type is hashed
	Delivery  string // [DeliveryToken]
}

// ParseWebhook parses a subject of [Subjects.Webhook].
func (s Subjects) ParseWebhook(subject string) (WebhookSubject, error) {
	tokens := strings.Split(subject, ".")
	if len(tokens) != 7 || tokens[0] != s.prefix || tokens[1] != "webhook" {
		return WebhookSubject{}, fmt.Errorf("%w: %.200q is not <prefix>.webhook.<scope>.<identity>.<connector>.<type>.<delivery>", ErrSubject, subject)
	}
	ref, err := parseRef(append(tokens[2:5:5], "x"))
	return WebhookSubject{Tenant: ref.Tenant, Connector: ref.Connector, Type: tokens[5], Delivery: tokens[6]}, err
}

func parseRef(tokens []string) (ActionRef, error) {
	var out [4]string
	for i := range out {
		s, err := ParseToken(tokens[i])
		if err != nil {
			return ActionRef{}, err
		}
		out[i] = s
	}
	return ActionRef{Tenant: Tenant{out[0], out[1]}, Connector: out[2], Action: out[3]}, nil
}

const fingerprintSize = 16 // bytes

// Fingerprint returns the first half of the SHA-256 of s in hex: 32 characters
// that fit into a subject and a header.
func Fingerprint(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:fingerprintSize])
}
