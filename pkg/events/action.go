package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
)

// Action is a request for an action, as its message carries it: plain JSON, or
// a CloudEvent of either mode.
type Action struct {
	ActionRef
	ID       string    // the idempotency key, UTF-8, at most 1024 bytes
	MadeUp   bool      // nobody has used the id before: it was made for this message
	Awaited  bool      // somebody listens for the result to be stored: see [Bus.PublishResult]
	Account  string    // "default" unless it says so
	Deadline time.Time // zero: none
	High     bool      // hawserpriority is high
	Input    json.RawMessage
	Attempt  int // attempts made before this one
	// EventPending says that the lifecycle event about the last attempt is not stored yet.
	EventPending bool
}

// maxRequestID bounds what is carried in every event about a request.
const maxRequestID = 1024

// ErrRequest is wrapped by every error about a request itself: repeating it as it
// is cannot help.
var ErrRequest = errors.New("malformed action request")

// ReadAction reads a request. Where the message can be understood in part, the
// action is returned beside the error, so that the refusal finds its way back
// to the caller. The id of a message that names none is derived from where the
// stream keeps it, so that it is the same at every delivery.
//
// Of d.Header only attributes are believed, and the count of attempts on a
// subject of [Names.Due], where nobody but us publishes. The trace of a structured
// message is put there, for [WithTrace].
func (n Names) ReadAction(d *Delivery) (Action, error) {
	ref, err := n.ParseAction(d.Subject)
	a := Action{ActionRef: ref, Account: "default"}
	if err != nil {
		return a, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if n.isDue(d.Subject) {
		a.Attempt, _ = strconv.Atoi(headerValue(d.Header, HeaderAttempt))
		a.Attempt = max(a.Attempt, 0)
		a.EventPending = headerValue(d.Header, HeaderEventPending) != ""
	}
	r := requestReader{header: d.Header}
	a.Input = r.open(d.Data)
	a.setID(&r, d)
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
	a.Awaited = headerValue(r.header, HeaderAwaited) != ""
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
func (a *Action) setID(r *requestReader, d *Delivery) {
	id := ""
	if r.structured != nil {
		id = r.structured.ID()
	} else if id = r.get("id"); id == "" && r.problem != nil {
		id = headerValue(r.header, attributePrefix+"id")
	}
	if id == "" {
		id = headerValue(r.header, jetstream.MsgIDHeader)
	}
	// The sender says that it made the id for this message; it can only lie to
	// itself, and only about a request that runs once more.
	a.MadeUp = headerValue(r.header, HeaderFresh) != "" && a.Attempt == 0
	if id == "" {
		a.MadeUp = true
		place := d.Subject + "/" + strconv.FormatUint(d.Sequence, 10) + "/" + d.Stored.UTC().Format(time.RFC3339Nano)
		id = uuid.NewSHA1(uuid.NameSpaceURL, []byte(place)).String()
	}
	if err := checkID(id); err != nil {
		r.wrong("%w", err)
		id = "sha256:" + hashOf(id)
	}
	a.ID = id
}

func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("the request has no id")
	case len(id) > maxRequestID:
		return fmt.Errorf("the id is longer than %d bytes", maxRequestID)
	case !utf8.ValidString(id):
		return errors.New("the id is not UTF-8")
	}
	return nil
}

// Headers writes the request in binary mode.
func (a Action) Headers() Header {
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
	if a.Awaited {
		h[HeaderAwaited] = []string{"1"}
	}
	if a.EventPending {
		h[HeaderEventPending] = []string{"1"}
	}
	if a.Attempt > 0 {
		h[HeaderAttempt] = []string{strconv.Itoa(a.Attempt)}
	} else if a.MadeUp {
		h[HeaderFresh] = []string{"1"}
	}
	return h
}

// About is what events of this request are about.
func (a Action) About() About {
	return About{Tenant: a.Tenant, Connector: a.Connector, Account: a.Account, RequestID: a.ID}
}

// Reference names the result of a request in one path segment:
// "<scope>.<identity>.<connector>.<action>.<request id>", escaped.
func Reference(r ActionRef, requestID string) string {
	return r.tokens() + "." + Token(requestID)
}

// resultOf reverses [Reference], into the subject of the result.
func (n Names) resultOf(reference string) (subject string, ok bool) {
	tokens := strings.Split(reference, ".")
	if len(tokens) != 5 || !isToken(tokens[4]) {
		return "", false
	}
	_, err := parseRef(tokens[:4])
	return n.prefix + ".result." + reference, err == nil
}
