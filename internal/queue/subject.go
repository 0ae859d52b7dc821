package queue

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hawser-io/hawser/pkg/events"
)

// Subjects builds and parses the subjects of parked and due work, timers and dead
// letters. A due or dead subject is that of the request or webhook with one more
// token; that of a dead webhook lacks the delivery:
//
//	<prefix>.parked.action.<hash of the request>       a request that waits for its time
//	<prefix>.parked.webhook.<hash of its id>           a webhook that waits for its time
//	<prefix>.due.action.<scope>.<identity>.<connector>.<action>      its time has come
//	<prefix>.due.webhook.<scope>.<identity>.<connector>.<type>.<delivery>
//	<prefix>.dead.action.<scope>.<identity>.<connector>.<action>     no further attempt is made
//	<prefix>.dead.webhook.<scope>.<identity>.<connector>.<type>
//	<prefix>.timer.refresh.<grant>                     a grant's timer, one per grant
//	<prefix>.due.refresh.<grant>
//	<prefix>.parked.silence.<hash of the connection>   a connection's timer, one per connection
//	<prefix>.due.silence.<scope>.<identity>.<connector>.<account>
//	<prefix>.parked.subscription.<hash of the connection>   a webhook registration's timer, one per connection
//	<prefix>.due.subscription.<scope>.<identity>.<connector>.<account>
type Subjects struct{ public events.Subjects }

// NewSubjects returns the subjects with the prefix of public.
func NewSubjects(public events.Subjects) Subjects { return Subjects{public} }

// DueAction is the subject on which a parked request is published at its time.
func (s Subjects) DueAction(r events.ActionRef) string { return s.due(s.public.Action(r)) }

// DeadAction is the subject of requests that are dead letters.
func (s Subjects) DeadAction(r events.ActionRef) string { return s.below("dead", s.public.Action(r)) }

func (s Subjects) due(subject string) string { return s.below("due", subject) }

// deadWebhook is the subject of webhooks that are dead letters.
func (s Subjects) deadWebhook(w events.WebhookSubject) string {
	return s.public.Prefix() + ".dead.webhook." + w.Tokens() + "." + events.Token(w.Connector) + "." + w.Type
}

func (s Subjects) below(token, subject string) string {
	prefix := s.public.Prefix()
	return prefix + "." + token + strings.TrimPrefix(subject, prefix)
}

// origin returns the subject of the request or webhook that a due message is about, or
// of the request that is a dead letter; any other subject is returned as it is.
func (s Subjects) origin(subject string) string {
	prefix := s.public.Prefix() + "."
	for _, token := range []string{"due.", "dead."} {
		if rest, ok := strings.CutPrefix(subject, prefix+token); ok {
			return prefix + rest
		}
	}
	return subject
}

// DueActionFilter matches every due request for a connector.
func (s Subjects) DueActionFilter(connector string) string {
	return s.due(s.public.ActionFilter(connector))
}

// DueWebhookFilter matches every due webhook of a connector.
func (s Subjects) DueWebhookFilter(connector string) string {
	return s.due(s.public.WebhookFilter(connector))
}

// Parked is the subject on which a request of the default account waits for its time.
func (s Subjects) Parked(r events.ActionRef, requestID string) string {
	return s.parked(events.Reference(r, requestID))
}

// parked is the subject on which a request waits for its time. Publishing there again
// replaces the request that waits.
func (s Subjects) parked(reference string) string {
	return s.public.Prefix() + ".parked.action." + events.Fingerprint(reference)
}

func (s Subjects) parkedWebhook(id string) string {
	return s.public.Prefix() + ".parked.webhook." + events.Fingerprint(id)
}

// ParseAction parses the subject of a request, waiting in its queue, due or dead.
func (s Subjects) ParseAction(subject string) (events.ActionRef, error) {
	return s.public.ParseAction(s.origin(subject))
}

// ParseWebhook parses the subject of a webhook, stored, due or dead. That of a dead
// one has no Delivery.
func (s Subjects) ParseWebhook(subject string) (events.WebhookSubject, error) {
	origin := s.origin(subject)
	dead := strings.HasPrefix(subject, s.public.Prefix()+".dead.webhook.")
	if dead {
		origin += ".x"
	}
	w, err := s.public.ParseWebhook(origin)
	if dead {
		w.Delivery = ""
	}
	return w, err
}

// ReadAction reads a request like [events.Subjects.ReadAction], also where it is due
// or dead. Of a due request it reads the attempts made and whether an event is pending: only Hawser's programs publish
// on that subject.
func (s Subjects) ReadAction(m *events.StoredMessage) (events.Action, error) {
	origin := *m
	origin.Subject = s.origin(m.Subject)
	a, err := s.public.ReadAction(&origin)
	if s.due(origin.Subject) == m.Subject {
		a.Attempt = Attempts(m)
		a.EventPending = m.Header.Get(events.HeaderEventPending) != ""
		a.GeneratedID = a.GeneratedID && a.Attempt == 0
	}
	return a, err
}

// Attempts returns how many attempts were made before a message was parked or became
// a dead letter.
func Attempts(m *events.StoredMessage) int {
	n, err := strconv.Atoi(m.Header.Get(events.HeaderAttempt))
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// RefreshTimer is the subject of a grant's timer. Publishing there again replaces it.
func (s Subjects) RefreshTimer(grant string) string {
	return s.public.Prefix() + ".timer.refresh." + grant
}

// RefreshTimers matches the timers of all grants.
func (s Subjects) RefreshTimers() string { return s.RefreshTimer(">") }

// RefreshDue is the subject on which a grant's timer fires.
func (s Subjects) RefreshDue(grant string) string {
	return s.public.Prefix() + ".due.refresh." + grant
}

// RefreshesDue matches every timer of a grant that has fired.
func (s Subjects) RefreshesDue() string { return s.RefreshDue(">") }

// ParseRefreshDue returns the grant of a subject of [Subjects.RefreshDue], or "".
func (s Subjects) ParseRefreshDue(subject string) (grant string) {
	grant, ok := strings.CutPrefix(subject, s.RefreshDue(""))
	if !ok {
		return ""
	}
	return grant
}

// AccountRef identifies a tenant's account at a connector.
type AccountRef struct {
	events.Tenant
	Connector string
	Account   string
}

func (r AccountRef) tokens() string {
	return r.Tenant.Tokens() + "." + events.Token(r.Connector) + "." + events.Token(r.Account)
}

// InactivityDue matches every inactivity timer that has fired.
func (s Subjects) InactivityDue() string { return s.inactivityDue(">") }

func (s Subjects) inactivityDue(account string) string {
	return s.public.Prefix() + ".due.silence." + account
}

// SubscriptionsDue matches every timer of a webhook registration that has fired.
func (s Subjects) SubscriptionsDue() string { return s.subscriptionDue(">") }

func (s Subjects) subscriptionDue(account string) string {
	return s.public.Prefix() + ".due.subscription." + account
}

// ParseInactivity parses the subject of an inactivity timer that has fired.
func (s Subjects) ParseInactivity(subject string) (AccountRef, error) {
	return parseAccount(subject, s.inactivityDue(""))
}

// ParseSubscription parses the subject of a registration's timer that has fired.
func (s Subjects) ParseSubscription(subject string) (AccountRef, error) {
	return parseAccount(subject, s.subscriptionDue(""))
}

func parseAccount(subject, prefix string) (AccountRef, error) {
	var names [4]string
	rest, ok := strings.CutPrefix(subject, prefix)
	tokens := strings.Split(rest, ".")
	if !ok || len(tokens) != len(names) {
		return AccountRef{}, fmt.Errorf("%w: %.200q is not %s<scope>.<identity>.<connector>.<account>", events.ErrSubject, subject, prefix)
	}
	for i, token := range tokens {
		var err error
		if names[i], err = events.ParseToken(token); err != nil {
			return AccountRef{}, err
		}
	}
	return AccountRef{events.Tenant{Scope: names[0], Identity: names[1]}, names[2], names[3]}, nil
}
