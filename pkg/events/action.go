package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// Action is a request for an action.
type Action struct {
	ActionRef
	ID           string    // the idempotency key, UTF-8, at most [MaxRequestID] bytes
	GeneratedID  bool      // the id was generated for this message, so it has no earlier result
	NotifyStored bool      // a caller waits for the result: see [Bus.PublishResult]
	Account      string    // "default" unless the request names one
	Conflict     bool      // another request with the same id and other input is the first: see [ErrConflict]
	Deadline     time.Time // zero: none
	High         bool      // hawserpriority is high
	Input        json.RawMessage
	Attempt      int  // attempts made before this one
	EventPending bool // the lifecycle event about the last attempt is not stored yet
}

// MaxRequestID is the longest request id, in bytes: every event about a request
// carries it.
const MaxRequestID = 1024

// Headers of our own on action requests.
const (
	HeaderAttempt      = "Hawser-Attempt"       // attempts made so far
	HeaderGeneratedID  = "Hawser-Fresh"         // see [Action.GeneratedID]
	HeaderNotifyStored = "Hawser-Awaited"       // see [Action.NotifyStored]
	HeaderEventPending = "Hawser-Event-Pending" // see [Action.EventPending]
	HeaderInput        = "Hawser-Input"         // of a result: [Action.InputFingerprint] of its request
)

// ErrRequest is wrapped by errors about a request itself. Repeating the request does
// not help.
var ErrRequest = errors.New("malformed action request")

// Check returns [ErrRequest] if the request has no id, or one that no event can carry.
func (a Action) Check() error {
	if err := checkID(a.ID); err != nil {
		return fmt.Errorf("%w: %w", ErrRequest, err)
	}
	return nil
}

func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("the request has no id")
	case len(id) > MaxRequestID:
		return fmt.Errorf("the id is longer than %d bytes", MaxRequestID)
	case !utf8.ValidString(id):
		return errors.New("the id is not UTF-8")
	}
	return nil
}

// Message returns the request as a message in binary mode.
func (a Action) Message() *Message {
	m := &Message{Data: a.Input, Header: Header{
		"ce-specversion": {"1.0"}, "ce-type": {"hawser.action.requested"}, "ce-source": {"/hawser/request"},
		dataContentType: {"application/json"}, contentType: {"application/json"},
	}}
	m.SetID(a.ID)
	if a.Account != defaultName {
		m.SetExtension(ExtAccount, a.Account)
	}
	if !a.Deadline.IsZero() {
		m.SetExtension(ExtDeadline, a.Deadline.UTC().Format(time.RFC3339Nano))
	}
	if a.High {
		m.SetExtension(ExtPriority, "high")
	}
	if a.NotifyStored {
		m.put(HeaderNotifyStored, "1")
	}
	if a.EventPending {
		m.put(HeaderEventPending, "1")
	}
	if a.Attempt > 0 {
		m.put(HeaderAttempt, strconv.Itoa(a.Attempt))
	} else if a.GeneratedID {
		m.put(HeaderGeneratedID, "1")
	}
	return m
}

// Context returns the context of events about this request.
func (a Action) Context() EventContext {
	return EventContext{Tenant: a.Tenant, Connector: a.Connector, Account: a.Account, RequestID: a.ID}
}
