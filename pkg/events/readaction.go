package events

import (
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
)

// ReadAction reads a request from its message: plain JSON, or a CloudEvent in either
// mode. If only a part can be read, it returns that part with the error, so that the
// caller gets an answer. The id of a message without one is derived from its position in
// the stream, so that it is the same at every delivery.
//
// Of m.Header it reads attributes only, since any client may have written the headers.
// It adds the trace of a structured message to m.Header, for [WithTrace].
func (s Subjects) ReadAction(m *StoredMessage) (Action, error) {
	ref, err := s.ParseAction(m.Subject)
	a := Action{ActionRef: ref, Account: defaultName}
	if err != nil {
		return a, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	r := requestReader{header: m.Header}
	a.Input = r.readInput(m.Data)
	r.readID(&a, m)
	r.readAttributes(&a)
	if r.err != nil {
		return a, fmt.Errorf("%w: %w", ErrRequest, r.err)
	}
	return a, nil
}

// requestReader reads the attributes of a request.
type requestReader struct {
	header     Header
	structured *Event // nil in binary mode
	err        error  // the first error
}

// readInput returns the input, and determines the mode.
func (r *requestReader) readInput(data []byte) []byte {
	ct := headerValue(r.header, contentType)
	if !isStructuredType(ct) {
		return data
	}
	e, err := decodeStructured(ct, data)
	r.structured, r.err = &e, err
	for _, name := range []string{ExtTraceParent, ExtTraceState} {
		if v := Extension(e, name); v != "" {
			r.header[attributePrefix+name] = []string{percentEncode(v)}
		}
	}
	return e.DataEncoded
}

// readID reads the id. One that no event can carry is an error, and replaced by its
// hash, so that the refusal has a subject.
func (r *requestReader) readID(a *Action, m *StoredMessage) {
	id := ""
	if r.structured != nil {
		id = r.structured.ID()
	} else if id = r.attribute("id"); id == "" && r.err != nil {
		id = headerValue(r.header, "ce-id") // not UTF-8
	}
	if id == "" {
		id = headerValue(r.header, jetstream.MsgIDHeader)
	}
	// A sender that sets this header wrongly can only have its own request run again.
	a.GeneratedID = headerValue(r.header, HeaderGeneratedID) != ""
	if id == "" {
		a.GeneratedID = true
		position := m.Subject + "/" + strconv.FormatUint(m.Sequence, 10) + "/" + m.Stored.UTC().Format(time.RFC3339Nano)
		id = uuid.NewSHA1(uuid.NameSpaceURL, []byte(position)).String()
	}
	if err := checkID(id); err != nil {
		r.failf("%w", err)
		id = "sha256:" + Fingerprint(id)
	}
	a.ID = id
}

func (r *requestReader) readAttributes(a *Action) {
	if v := r.attribute(ExtAccount); v != "" {
		a.Account = v
	}
	if len(a.Account) > maxTokenInput {
		r.failf("%s is longer than %d bytes", ExtAccount, maxTokenInput)
	}
	a.High = r.attribute(ExtPriority) == "high"
	a.NotifyStored = headerValue(r.header, HeaderNotifyStored) != ""
	if v := r.attribute(ExtDeadline); v != "" {
		var err error
		if a.Deadline, err = ParseTime(v); err != nil {
			r.failf("%s is not an RFC 3339 time", ExtDeadline)
		}
	}
	// The sender's permissions are on the subject, so attributes must not contradict it.
	for _, c := range [][2]string{{ExtScope, a.Scope}, {ExtIdentity, a.Identity}, {ExtConnector, a.Connector}} {
		if v := r.attribute(c[0]); v != "" && v != c[1] {
			r.failf("%s contradicts the subject", c[0])
		}
	}
}

func (r *requestReader) attribute(name string) string {
	if r.structured != nil {
		return Extension(*r.structured, name)
	}
	v, err := attribute(r.header, name)
	if err != nil {
		r.failf("%s is %w", name, err)
	}
	return v
}

func (r *requestReader) failf(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}
