package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
)

// Action is a request for an action, as its message carries it: plain JSON, or
// a CloudEvent of either mode.
type Action struct {
	ActionRef
	ID       string    // the idempotency key
	MadeUp   bool      // the message named no id
	Account  string    // "default" unless it says so
	Deadline time.Time // zero: none
	High     bool      // hawserpriority is high
	Input    json.RawMessage
	Attempt  int // attempts made before this one
}

// ErrRequest is wrapped by every error of [Names.ReadAction] about the message.
var ErrRequest = errors.New("malformed action request")

// ReadAction reads a request. Where the message can be understood in part, the
// action is returned beside the error, so that the refusal finds its way back
// to the caller. The id of a message that names none is derived from where the
// stream keeps it, so that it is the same at every delivery.
func (n Names) ReadAction(d *Delivery) (Action, error) {
	ref, err := n.ParseAction(d.Subject)
	a := Action{ActionRef: ref, Account: "default"}
	if err != nil {
		return a, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	get := func(name string) string { return attribute(d.Header, name) }
	a.Input = d.Data
	var problem error
	if isStructured(d.Header) {
		e, err := Decode(d.Header, d.Data)
		problem = err
		a.Input = e.Data()
		get = func(name string) string {
			if name == "id" {
				return e.ID()
			}
			return Extension(e, name)
		}
		for _, name := range []string{ExtTraceParent, ExtTraceState} {
			if v := Extension(e, name); v != "" {
				d.Header[attributePrefix+name] = []string{v}
			}
		}
	}
	a.setID(get("id"), d)
	if v := get(ExtAccount); v != "" {
		a.Account = v
	}
	a.High = get(ExtPriority) == "high"
	a.Attempt, _ = strconv.Atoi(headerValue(d.Header, HeaderAttempt))
	if problem != nil {
		return a, fmt.Errorf("%w: %w", ErrRequest, problem)
	}
	if v := get(ExtDeadline); v != "" {
		if a.Deadline, err = time.Parse(time.RFC3339Nano, v); err != nil {
			return a, fmt.Errorf("%w: hawserdeadline is not an RFC 3339 time", ErrRequest)
		}
	}
	for name, want := range map[string]string{ExtScope: ref.Scope, ExtIdentity: ref.Identity, ExtConnector: ref.Connector} {
		if v := get(name); v != "" && v != want {
			return a, fmt.Errorf("%w: %s does not agree with the subject", ErrRequest, name)
		}
	}
	if len(a.Account) > maxTokenInput {
		return a, fmt.Errorf("%w: hawseraccount is longer than %d bytes", ErrRequest, maxTokenInput)
	}
	return a, nil
}

func (a *Action) setID(id string, d *Delivery) {
	if id == "" {
		id = headerValue(d.Header, jetstream.MsgIDHeader)
	}
	if id == "" {
		a.MadeUp = true
		place := d.Subject + "/" + strconv.FormatUint(d.Sequence, 10) + "/" + d.Stored.UTC().Format(time.RFC3339Nano)
		id = uuid.NewSHA1(uuid.NameSpaceURL, []byte(place)).String()
	}
	a.ID = id
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
	if a.Attempt > 0 {
		h[HeaderAttempt] = []string{strconv.Itoa(a.Attempt)}
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

// resultSubject turns a reference, or a bare request id, into a subject filter.
func (n Names) resultSubject(reference string) string {
	if tokens := strings.Split(reference, "."); len(tokens) == 5 {
		if _, err := parseRef(tokens[:4]); err == nil {
			return n.prefix + ".result." + reference
		}
	}
	return n.ResultsOf(reference)
}
