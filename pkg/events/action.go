package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
)

// Action is a request for an action, as its message carries it: plain JSON, or
// a CloudEvent of either mode.
type Action struct {
	ActionRef
	ID           string    // the idempotency key, UTF-8, at most 1024 bytes
	GeneratedID  bool      // the id was generated for this message, so it has no earlier result
	NotifyStored bool      // a caller waits for the result: see [Bus.PublishResult]
	Account      string    // "default" unless the request names one
	Deadline     time.Time // zero: none
	High         bool      // hawserpriority is high
	Input        json.RawMessage
	Attempt      int // attempts made before this one
	// EventPending says that the lifecycle event about the last attempt is not stored yet.
	EventPending bool
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
)

// ErrRequest is wrapped by every error about a request itself: repeating it as it
// is cannot help.
var ErrRequest = errors.New("malformed action request")

// ReadAction reads a request. Where the message can be understood in part, the
// action is returned beside the error, so that the refusal finds its way back
// to the caller. The id of a message that names none is derived from where the
// stream keeps it, so that it is the same at every delivery.
//
// Only attributes of m.Header are used, since any client may have written it. The
// trace of a structured message is added to m.Header, for [WithTrace].
func (s Subjects) ReadAction(m *StoredMessage) (Action, error) {
	ref, err := s.ParseAction(m.Subject)
	a := Action{ActionRef: ref, Account: "default"}
	if err != nil {
		return a, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	r := requestReader{header: m.Header}
	a.Input = r.open(m.Data)
	a.setID(&r, m)
	r.fill(&a)
	if r.problem != nil {
		return a, fmt.Errorf("%w: %w", ErrRequest, r.problem)
	}
	return a, nil
}

// requestReader reads the attributes of a request, and remembers the first that
// is wrong.
type requestReader struct {
	header     Header
	structured *Event
	problem    error
}

// open decides the mode and returns the input.
func (r *requestReader) open(data []byte) []byte {
	ct := headerValue(r.header, contentType)
	if !isStructuredType(ct) {
		return data
	}
	e, err := decodeStructured(ct, data)
	r.structured, r.problem = &e, err
	for _, name := range []string{ExtTraceParent, ExtTraceState} {
		if v := Extension(e, name); v != "" {
			r.header[attributePrefix+name] = []string{percentEncode(v)}
		}
	}
	return e.DataEncoded
}

func (r *requestReader) get(name string) string {
	if r.structured != nil {
		return Extension(*r.structured, name)
	}
	v, err := attribute(r.header, name)
	if err != nil {
		r.wrong("%s is %w", name, err)
	}
	return v
}

func (r *requestReader) wrong(format string, args ...any) {
	if r.problem == nil {
		r.problem = fmt.Errorf(format, args...)
	}
}

func (r *requestReader) fill(a *Action) {
	if v := r.get(ExtAccount); v != "" {
		a.Account = v
	}
	if len(a.Account) > maxTokenInput {
		r.wrong("%s is longer than %d bytes", ExtAccount, maxTokenInput)
	}
	a.High = r.get(ExtPriority) == "high"
	a.NotifyStored = headerValue(r.header, HeaderNotifyStored) != ""
	if v := r.get(ExtDeadline); v != "" {
		var err error
		if a.Deadline, err = time.Parse(time.RFC3339Nano, v); err != nil {
			r.wrong("%s is not an RFC 3339 time", ExtDeadline)
		}
	}
	r.agree(ExtScope, a.Scope)
	r.agree(ExtIdentity, a.Identity)
	r.agree(ExtConnector, a.Connector)
}

// agree holds that an attribute does not contradict the subject, which is what
// the sender was allowed to publish on.
func (r *requestReader) agree(name, want string) {
	if v := r.get(name); v != "" && v != want {
		r.wrong("%s does not agree with the subject", name)
	}
}

// setID finds the id. One that cannot be carried along is replaced by its hash,
// and is a problem: the refusal still has a subject.
func (a *Action) setID(r *requestReader, m *StoredMessage) {
	id := ""
	if r.structured != nil {
		id = r.structured.ID()
	} else if id = r.get("id"); id == "" && r.problem != nil {
		id = headerValue(r.header, attributePrefix+"id")
	}
	if id == "" {
		id = headerValue(r.header, jetstream.MsgIDHeader)
	}
	// A sender that claims this wrongly can only have its own request run once more.
	a.GeneratedID = headerValue(r.header, HeaderGeneratedID) != ""
	if id == "" {
		a.GeneratedID = true
		position := m.Subject + "/" + strconv.FormatUint(m.Sequence, 10) + "/" + m.Stored.UTC().Format(time.RFC3339Nano)
		id = uuid.NewSHA1(uuid.NameSpaceURL, []byte(position)).String()
	}
	if err := checkID(id); err != nil {
		r.wrong("%w", err)
		id = "sha256:" + Fingerprint(id)
	}
	a.ID = id
}

// Check returns [ErrRequest] if the request has no id, or one that cannot be carried.
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

// Message returns the request in binary mode.
func (a Action) Message() *Message {
	h := Header{
		attributePrefix + "specversion": {"1.0"},
		attributePrefix + "type":        {"hawser.action.requested"},
		attributePrefix + "source":      {"/hawser/request"},
		attributePrefix + "id":          {percentEncode(a.ID)},
		dataContentType:                 {"application/json"},
		contentType:                     {"application/json"},
	}
	set := func(name, value string) { h[attributePrefix+name] = []string{percentEncode(value)} }
	if a.Account != "" && a.Account != "default" {
		set(ExtAccount, a.Account)
	}
	if !a.Deadline.IsZero() {
		set(ExtDeadline, a.Deadline.UTC().Format(time.RFC3339Nano))
	}
	if a.High {
		set(ExtPriority, "high")
	}
	if a.NotifyStored {
		h[HeaderNotifyStored] = []string{"1"}
	}
	if a.EventPending {
		h[HeaderEventPending] = []string{"1"}
	}
	if a.Attempt > 0 {
		h[HeaderAttempt] = []string{strconv.Itoa(a.Attempt)}
	} else if a.GeneratedID {
		h[HeaderGeneratedID] = []string{"1"}
	}
	return &Message{Header: h, Data: a.Input}
}

// Context returns the context of events about this request.
func (a Action) Context() EventContext {
	return EventContext{Tenant: a.Tenant, Connector: a.Connector, Account: a.Account, RequestID: a.ID}
}
