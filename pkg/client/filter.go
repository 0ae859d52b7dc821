package client

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Topic is what to subscribe to.
type Topic string

// The topics. Their subjects, below "hawser.":
//
//	event.<scope>.<identity>.<connector>.<noun>.<verb>
//	result.<scope>.<identity>.<connector>.<action>.<request id>
//	webhook.<scope>.<identity>.<connector>.<type>.<delivery>
const (
	Lifecycle Topic = "event"   // connector.connected, action.failed …: without payloads
	Results   Topic = "result"  // the results of actions
	Webhooks  Topic = "webhook" // verified webhooks, raw
)

// Filter selects events. Zero fields mean the default.
type Filter struct {
	Topic     Topic  // default [Lifecycle]
	Connector string // default: every connector
	// Name is, by topic, "noun.verb" or "noun" of a lifecycle event, an action, or
	// the provider's event type. Default: every name.
	Name    string
	Account string // default: every account
}

func (f Filter) stream() (events.Stream, error) {
	switch f.Topic {
	case Lifecycle:
		return events.Lifecycle, nil
	case Results:
		return events.Results, nil
	case Webhooks:
		return events.Webhooks, nil
	}
	return "", fmt.Errorf("client: topic %q: %s, %s and %s are the topics", f.Topic, Lifecycle, Results, Webhooks)
}

// subject is what to subscribe to; tenant is two tokens.
func (c *Client) subject(f Filter, tenant string) string {
	connector, name := "*", ">"
	if f.Connector != "" {
		connector = events.Token(f.Connector)
	}
	switch noun, verb, both := strings.Cut(f.Name, "."); {
	case f.Name == "":
	case f.Topic == Results, f.Topic == Webhooks:
		name = events.Token(f.Name) + ".*"
	case both:
		name = events.Token(noun) + "." + events.Token(verb)
	default:
		name = events.Token(noun) + ".*"
	}
	topic := f.Topic
	if topic == "" {
		topic = Lifecycle
	}
	return c.bus.Subjects.Prefix() + "." + string(topic) + "." + tenant + "." + connector + "." + name
}

// Event is an event of a subscription: a CloudEvent, with its tenant and connector.
type Event struct {
	events.Event
	Tenant    events.Tenant
	Connector string
	Account   string
	// Name is, by topic, "noun.verb", the action, or the provider's event type.
	Name string
	// RequestID is the id of the action request that the event is about, or "".
	RequestID string
	// Header has all headers of the message; those of a webhook include its provider's.
	Header events.Header
	// Sequence is that of the event in its stream; 0 in a live subscription.
	Sequence uint64
	// Attempt is 1 unless a durable subscription delivers the event again.
	Attempt int
}

// Result returns the output of a completed action, or the *[connectors.Error] of
// a failed one. It is for events of the topic [Results].
func (e *Event) Result() (json.RawMessage, error) { return outcome(e.Event) }

// Details returns the data of a lifecycle event.
func (e *Event) Details() (events.Data, error) {
	var data events.Data
	if err := json.Unmarshal(e.Data(), &data); err != nil {
		return data, connectors.Errorf(connectors.CodeInternal, "the event is not a lifecycle event")
	}
	return data, nil
}

// readEvent reads a message. Tenant and connector are those of its subject.
func readEvent(subject string, header events.Header, data []byte) (*Event, error) {
	decoded, err := events.Decode(header, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", subject, err)
	}
	tokens := strings.Split(subject, ".")
	if len(tokens) < 6 {
		return nil, fmt.Errorf("%w: %s", events.ErrSubject, subject)
	}
	var names [4]string // scope, identity, connector, action
	for i := range names {
		if names[i], err = events.ParseToken(tokens[2+i]); err != nil && i < 3 {
			return nil, fmt.Errorf("%s: %w", subject, err)
		}
	}
	e := &Event{
		Event: decoded, Tenant: events.Tenant{Scope: names[0], Identity: names[1]}, Connector: names[2],
		Account: events.Extension(decoded, events.ExtAccount), RequestID: events.Extension(decoded, events.ExtRequest),
		Header: header, Attempt: 1,
	}
	switch Topic(tokens[1]) {
	case Results:
		if e.Type() != events.ActionCompleted.Type() && e.Type() != events.ActionFailed.Type() {
			return nil, fmt.Errorf("%w: the message on %s is not a result", events.ErrSubject, subject)
		}
		e.Name = names[3]
	case Webhooks:
		// In the subject a long type is hashed.
		e.Name = strings.TrimPrefix(e.Type(), "hawser.webhook.")
	default:
		e.Name = string(events.KindOf(e.Type()))
	}
	return e, nil
}
