package events

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
)

// Event is a CloudEvent 1.0, as [Decode] reads it. What is published is a [Message].
type Event = event.Event

// Kind is what happened, "noun.verb". The CloudEvents type is "hawser." and it.
type Kind string

// The lifecycle events.
const (
	ConnectorConnected    Kind = "connector.connected"
	ConnectorDisconnected Kind = "connector.disconnected"
	ConnectorEnabled      Kind = "connector.enabled"
	ConnectorDisabled     Kind = "connector.disabled"
	ConnectorUpdated      Kind = "connector.updated"
	OAuthStarted          Kind = "oauth.started"
	OAuthCompleted        Kind = "oauth.completed"
	OAuthRefreshed        Kind = "oauth.refreshed"
	OAuthFailed           Kind = "oauth.failed"
	OAuthNeedsReauth      Kind = "oauth.needs_reauth"
	OAuthExpiring         Kind = "oauth.expiring"
	OAuthScopeChanged     Kind = "oauth.scope_changed"
	OAuthSelection        Kind = "oauth.selection_required"
	ActionStarted         Kind = "action.started"
	ActionRetrying        Kind = "action.retrying"
	ActionCompleted       Kind = "action.completed"
	ActionFailed          Kind = "action.failed"
	WebhookReceived       Kind = "webhook.received"
	WebhookProcessed      Kind = "webhook.processed"
	WebhookFailed         Kind = "webhook.failed"
	WebhookRejected       Kind = "webhook.rejected"
	WebhookSilent         Kind = "webhook.silent"
	WebhookReplayed       Kind = "webhook.replayed" // by an operator
	WebhookRedriven       Kind = "webhook.redriven" // by an operator, out of quarantine or the dead letters
	ActionRedriven        Kind = "action.redriven"  // by an operator
	// The registration of a connection's webhook at its provider. Data.Operation of a failure is
	// create, renew, delete or list.
	SubscriptionCreated  Kind = "subscription.created"
	SubscriptionRenewed  Kind = "subscription.renewed"
	SubscriptionFailed   Kind = "subscription.failed"
	SubscriptionExpiring Kind = "subscription.expiring" // it ends soon, and is not renewed
	ErrorOccurred        Kind = "error.occurred"
)

// Type returns the CloudEvents type of the kind.
func (k Kind) Type() string { return "hawser." + string(k) }

// KindOf reverses [Kind.Type]. It returns any other type as it is.
func KindOf(eventType string) Kind { return Kind(strings.TrimPrefix(eventType, "hawser.")) }

// Names of our CloudEvents extensions. As message headers they begin with "ce-".
const (
	ExtScope       = "hawserscope"
	ExtIdentity    = "hawseridentity"
	ExtConnector   = "hawserconnector"
	ExtAccount     = "hawseraccount"
	ExtConnection  = "hawserconnection"
	ExtRequest     = "hawserrequest"
	ExtDeadline    = "hawserdeadline"
	ExtPriority    = "hawserpriority"
	ExtMethod      = "hawsermethod"   // of a webhook's request
	ExtPath        = "hawserpath"     // of a webhook's request, its secret masked
	ExtVerified    = "hawserverified" // "false" for a webhook accepted without a signature
	ExtDelivery    = "hawserdelivery" // the provider's delivery id
	ExtActor       = "hawseractor"    // the name of the API token that the request had
	ExtDataRef     = "dataref"        // reference to the data if it is not in the message
	ExtReplayOf    = "replayof"       // id of the webhook that an operator replayed
	ExtTraceParent = "traceparent"
	ExtTraceState  = "tracestate"
)

// EventContext is the connection and the request that an event is about. It becomes
// the event's subject, "<scope>/<identity>/<connector>[/<account>]", and its
// extensions.
type EventContext struct {
	Tenant
	Connector    string
	Account      string
	ConnectionID string
	RequestID    string
}

// Data is the data of a lifecycle event. It has no payloads and no secrets.
type Data struct {
	Action        string     `json:"action,omitempty"`
	DurationMs    *float64   `json:"durationMs,omitempty"`
	Attempt       int        `json:"attempt,omitempty"`
	Method        string     `json:"method,omitempty"`
	Path          string     `json:"path,omitempty"`
	Verified      *bool      `json:"verified,omitempty"`
	ErrorCode     string     `json:"errorCode,omitempty"`
	ErrorMessage  string     `json:"errorMessage,omitempty"`
	Operation     string     `json:"operation,omitempty"`
	NextAttemptAt *time.Time `json:"nextAttemptAt,omitempty"`
	GrantedScopes []string   `json:"grantedScopes,omitempty"`
	URL           string     `json:"url,omitempty"`

	// Actor is the name of the API token that the request had. It becomes the
	// extension hawseractor.
	Actor string `json:"-"`
}

// Milliseconds returns a duration as [Data] has it.
func Milliseconds(d time.Duration) *float64 {
	ms := float64(d.Microseconds()) / 1000
	return &ms
}

func (a EventContext) subject() string {
	s := a.Scope + "/" + a.Identity + "/" + a.Connector
	if a.Account != "" && a.Account != "default" {
		s += "/" + a.Account
	}
	return s
}

// NewID returns a new UUIDv7.
func NewID() string {
	id, err := uuid.NewV7()
	if err != nil {
		panic(fmt.Sprintf("events: no randomness: %v", err))
	}
	return id.String()
}

// DerivedID returns the id of an event that follows from the event with the given id:
// a UUIDv7 of the same time, and the same at every call. what distinguishes several such
// events.
func DerivedID(id, what string) string {
	sum := sha256.Sum256([]byte(id + "/" + what))
	u := uuid.UUID(sum[:16])
	if parent, err := uuid.Parse(id); err == nil {
		copy(u[:6], parent[:6]) // the time
	}
	u[6] = 0x70 | u[6]&0x0f // version 7
	u[8] = 0x80 | u[8]&0x3f // variant of RFC 9562
	return u.String()
}

// Extension returns the canonical string of an extension of e, or "".
func Extension(e Event, name string) string {
	value, ok := contextOf(e).Extensions[name]
	if !ok {
		return ""
	}
	return formatted(value)
}
