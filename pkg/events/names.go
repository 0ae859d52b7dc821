package events

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// DefaultPrefix is the first token of every subject unless it is set otherwise.
const DefaultPrefix = "hawser"

// ErrSubject is returned for a subject that is not one of ours.
var ErrSubject = errors.New("events: not a subject of this system")

// Tenant is a scope (the kind: organization, user, system …) and an identity of
// it (any string of up to 128 bytes; empty only where the scope is optional).
type Tenant struct {
	Scope    string `json:"scope"`
	Identity string `json:"identity"`
}

// Tokens returns "<scope>.<identity>", escaped.
func (t Tenant) Tokens() string { return Token(t.Scope) + "." + Token(t.Identity) }

// Names builds and reads the subjects of one installation. The zero value is
// not usable; see [NewNames].
//
//	<prefix>.action.<scope>.<identity>.<connector>.<action>
//	<prefix>.result.<scope>.<identity>.<connector>.<action>.<request id>
//	<prefix>.stored.<scope>.<identity>.<connector>.<action>.<request id>   the result again, once it is stored
//	<prefix>.event.<scope>.<identity>.<connector>.<noun>.<verb>
//	<prefix>.webhook.<scope>.<identity>.<connector>.<type>.<delivery>   one message a subject, see [Names.Webhook]
//	<prefix>.quarantine.<connector>.<reason>
//	<prefix>.dead.<action|webhook>.<scope>.<identity>.<connector>.<name>
//	<prefix>.parked.action.<hash of the request>                        waiting until its time
//	<prefix>.due.action.<scope>.<identity>.<connector>.<action>         its time has come
//	<prefix>.call.<scope>.<identity>.<connector>.<action>
//	<prefix>.validate.<connector>               an executor runs a connector's Validate
//	<prefix>.api.<operation>
type Names struct{ prefix string }

var prefixPattern = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

// NewNames returns the names below prefix ("" is [DefaultPrefix]), which must be
// a single token of lower-case letters, digits, _ and -: streams are named in
// upper case, and no two installations may share one.
func NewNames(prefix string) (Names, error) {
	if prefix == "" {
		prefix = DefaultPrefix
	}
	if !prefixPattern.MatchString(prefix) {
		return Names{}, fmt.Errorf("events: prefix %q: a single token of at most 32 lower-case letters, digits, _ and - is needed", prefix)
	}
	return Names{prefix}, nil
}

// Prefix returns the first token of every subject.
func (n Names) Prefix() string { return n.prefix }

// Stream returns the name of a stream, HAWSER_ACTIONS for example. It follows
// the prefix, so that installations can share one NATS system.
func (n Names) Stream(s Stream) string {
	return strings.ToUpper(n.prefix) + "_" + string(s)
}

// Bucket returns the name of a KV bucket, hawser-connections for example.
func (n Names) Bucket(name string) string { return n.prefix + "-" + name }

// Action is the subject of requests for an action.
func (n Names) Action(r ActionRef) string { return n.prefix + ".action." + r.tokens() }

// ActionFilter matches every request for a connector.
func (n Names) ActionFilter(connector string) string {
	return n.prefix + ".action.*.*." + Token(connector) + ".>"
}

// Actions matches every action request.
func (n Names) Actions() string { return n.prefix + ".action.>" }

// Result is the subject of the one result of a request.
func (n Names) Result(r ActionRef, requestID string) string {
	return n.prefix + ".result." + r.tokens() + "." + Token(requestID)
}

// stored is where a result is said again once the stream has it, for those who
// wait: on its own subject they would also hear what the stream does not take.
func (n Names) stored(r ActionRef, requestID string) string {
	return n.prefix + ".stored." + r.tokens() + "." + Token(requestID)
}

// ResultsOf matches the results of a request id, whoever made the request.
func (n Names) ResultsOf(requestID string) string {
	return n.prefix + ".result.*.*.*.*." + Token(requestID)
}

// Event is the subject of a lifecycle event, kind being "noun.verb".
func (n Names) Event(t Tenant, connector string, kind Kind) string {
	return n.prefix + ".event." + Token(t.Scope) + "." + Token(t.Identity) + "." + Token(connector) + "." + string(kind)
}

// Webhook returns the subject of a verified webhook of the provider's event type
// ("" becomes "unknown"). delivery is a [DeliveryToken]. A webhook is published with
// [PublishOptions.First], so the stream refuses a repetition for as long as it holds
// the first copy.
func (n Names) Webhook(t Tenant, connector, eventType, delivery string) string {
	if eventType == "" {
		eventType = "unknown"
	}
	return n.prefix + ".webhook." + t.Tokens() + "." + Token(connector) + "." + Token(eventType) + "." + delivery
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
func (n Names) Webhooks() string { return n.prefix + ".webhook.>" }

// WebhookFilter matches every verified webhook of a connector.
func (n Names) WebhookFilter(connector string) string {
	return n.prefix + ".webhook.*.*." + Token(connector) + ".>"
}

// Quarantine is the subject of deliveries refused for reason.
func (n Names) Quarantine(connector, reason string) string {
	return n.prefix + ".quarantine." + Token(connector) + "." + Token(reason)
}

// DeadAction is the subject of action requests that were given up on.
func (n Names) DeadAction(r ActionRef) string { return n.prefix + ".dead.action." + r.tokens() }

// Due is the subject on which a parked request returns at its time.
func (n Names) Due(r ActionRef) string { return n.prefix + ".due.action." + r.tokens() }

// DueFilter matches every parked request for a connector that is due.
func (n Names) DueFilter(connector string) string {
	return n.prefix + ".due.action.*.*." + Token(connector) + ".>"
}

// Parked is the subject on which a request waits for its time. Publishing there
// again replaces what waits.
func (n Names) Parked(r ActionRef, requestID string) string {
	return n.prefix + ".parked.action." + Token(hashOf(r.tokens()+"."+Token(requestID)))
}

// Call is the subject of an action by request-reply.
func (n Names) Call(r ActionRef) string { return n.prefix + ".call." + r.tokens() }

// Calls matches every action by request-reply.
func (n Names) Calls() string { return n.prefix + ".call.>" }

// Validate is the subject on which executors check a new connection's config.
func (n Names) Validate(connector string) string { return n.prefix + ".validate." + Token(connector) }

// API is the subject of a control operation, connections.list for example.
func (n Names) API(operation string) string { return n.prefix + ".api." + operation }

// ActionRef names an action of a tenant.
type ActionRef struct {
	Tenant
	Connector string
	Action    string
}

func (r ActionRef) tokens() string {
	return Token(r.Scope) + "." + Token(r.Identity) + "." + Token(r.Connector) + "." + Token(r.Action)
}

// ParseAction reads a subject of [Names.Action], [Names.Due] or [Names.Call].
func (n Names) ParseAction(subject string) (ActionRef, error) {
	tokens := strings.Split(subject, ".")
	if len(tokens) == 7 && tokens[1] == "due" && tokens[2] == "action" {
		tokens = append([]string{tokens[0]}, tokens[2:]...)
	}
	if len(tokens) != 6 || tokens[0] != n.prefix || tokens[1] != "action" && tokens[1] != "call" {
		return ActionRef{}, fmt.Errorf("%w: %.200q is not <prefix>.action.<scope>.<identity>.<connector>.<action>", ErrSubject, subject)
	}
	return parseRef(tokens[2:])
}

// ParseResult reads a subject of [Names.Result]. The request id is returned as
// its token, since a long one is hashed there.
func (n Names) ParseResult(subject string) (ActionRef, string, error) {
	tokens := strings.Split(subject, ".")
	if len(tokens) != 7 || tokens[0] != n.prefix || tokens[1] != "result" {
		return ActionRef{}, "", fmt.Errorf("%w: %.200q is not <prefix>.result.<scope>.<identity>.<connector>.<action>.<id>", ErrSubject, subject)
	}
	ref, err := parseRef(tokens[2:6])
	return ref, tokens[6], err
}

// WebhookSubject is what the subject of a stored webhook says.
type WebhookSubject struct {
	Tenant
	Connector string
	Type      string // token of the provider's event type, since a long type is hashed
	Delivery  string // [DeliveryToken]
}

// ParseWebhook reads a subject of [Names.Webhook].
func (n Names) ParseWebhook(subject string) (WebhookSubject, error) {
	tokens := strings.Split(subject, ".")
	if len(tokens) != 7 || tokens[0] != n.prefix || tokens[1] != "webhook" {
		return WebhookSubject{}, fmt.Errorf("%w: %.200q is not <prefix>.webhook.<scope>.<identity>.<connector>.<type>.<delivery>", ErrSubject, subject)
	}
	ref, err := parseRef(append(tokens[2:5:5], "x"))
	return WebhookSubject{Tenant: ref.Tenant, Connector: ref.Connector, Type: tokens[5], Delivery: tokens[6]}, err
}

// isDue reports whether a subject is one of [Names.Due].
func (n Names) isDue(subject string) bool {
	return strings.HasPrefix(subject, n.prefix+".due.action.")
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
