package events

import (
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// maxSubject bounds subjects: a server closes a connection for good at 4 KB.
	// Every subject made from a tenant's own fits, so that every request that is
	// accepted can be answered.
	maxSubject = 2048
	// maxMsgID bounds what a stream remembers of a message for its whole window.
	maxMsgID = 512
)

// PublishOptions of one publish. The zero value is a plain one.
type PublishOptions struct {
	// MsgID lets the stream drop a repetition inside its window. The window is
	// stream-wide: begin the id with the tenant and the connector. It may be any
	// string; what does not fit into a header is replaced by its hash.
	MsgID string
	// ExpectEmpty publishes only if the subject holds no message; else [ErrExists].
	ExpectEmpty bool
}

// Ack is the stream's acknowledgement that it has stored a message.
type Ack struct {
	Sequence  uint64
	Duplicate bool // the stream had the MsgID already
}

// AckFuture is the acknowledgement of a publish that was sent. Wait for it once.
type AckFuture struct {
	future jetstream.PubAckFuture
	bus    *Bus
}

// Publish stores m on subject and waits for the stream's ack, at most the bus's
// publish timeout. The message carries the trace of ctx. Errors: [ErrUnavailable]
// (it may be stored or not: repeat with the same MsgID, or ExpectEmpty),
// [ErrExists], [ErrTooLarge], [ErrSubject].
func (b *Bus) Publish(ctx context.Context, subject string, m *Message, opts *PublishOptions) (Ack, error) {
	p, err := b.PublishAsync(ctx, subject, m, opts)
	if err != nil {
		return Ack{}, err
	}
	return p.Wait(ctx)
}

// PublishAsync sends m without waiting; [AckFuture.Wait] returns the ack. Several
// callers share one write to the network.
func (b *Bus) PublishAsync(ctx context.Context, subject string, m *Message, opts *PublishOptions) (*AckFuture, error) {
	msg, err := outgoing(ctx, subject, m, opts)
	if err != nil {
		return nil, err
	}
	return b.publishMsg(msg)
}

func (b *Bus) publishMsg(msg *nats.Msg) (*AckFuture, error) {
	future, err := b.js.PublishMsgAsync(msg)
	if err != nil {
		return nil, fmt.Errorf("publish %s: %w", msg.Subject, classify(err))
	}
	return &AckFuture{future: future, bus: b}, nil
}

// Notify sends m without asking for an ack, for what is durable elsewhere. The stream
// stores it unless the connection or the server fails. Messages of one connection reach a stream in
// their order, so the ack of a later one shows that this one was received.
func (b *Bus) Notify(ctx context.Context, subject string, m *Message, opts *PublishOptions) error {
	msg, err := outgoing(ctx, subject, m, opts)
	if err != nil {
		return err
	}
	if err := b.nc.PublishMsg(msg); err != nil {
		return fmt.Errorf("publish %s: %w", subject, classify(err))
	}
	return nil
}

// outgoing returns m as the client sends it. The headers are a copy: the client
// reads them again when it repeats a publish.
func outgoing(ctx context.Context, subject string, m *Message, opts *PublishOptions) (*nats.Msg, error) {
	if err := checkSubject(subject); err != nil {
		return nil, err
	}
	h := maps.Clone(m.Header)
	if h == nil {
		h = Header{}
	}
	setTrace(ctx, h)
	if opts != nil && opts.MsgID != "" {
		h[jetstream.MsgIDHeader] = []string{HeaderMsgID(opts.MsgID)}
	}
	if opts != nil && opts.ExpectEmpty {
		h[jetstream.ExpectedLastSubjSeqHeader] = []string{"0"}
	}
	return &nats.Msg{Subject: subject, Header: h, Data: m.Data}, nil
}

// Wait returns the stream's ack. See [Bus.Publish] for the errors.
func (f *AckFuture) Wait(ctx context.Context) (Ack, error) {
	subject := f.future.Msg().Subject
	select {
	case ack := <-f.future.Ok():
		return Ack{ack.Sequence, ack.Duplicate}, nil
	case err := <-f.future.Err():
		if f.bus.onStoreFailure != nil && storeFailed(err) {
			f.bus.onStoreFailure(fmt.Errorf("stream of %s: %w", subject, err))
		}
		return Ack{}, fmt.Errorf("publish %s: %w", subject, f.bus.checkStream(ctx, err, classify(err)))
	case <-ctx.Done():
		return Ack{}, fmt.Errorf("publish %s: %w", subject, unavailable(ctx.Err()))
	}
}

// checkSubject refuses a subject that is not literal, or that could break the
// protocol.
func checkSubject(subject string) error {
	if len(subject) > maxSubject {
		return fmt.Errorf("%w: it has %d bytes, the limit is %d", ErrSubject, len(subject), maxSubject)
	}
	for token := range strings.SplitSeq(subject, ".") {
		if token == "" {
			return fmt.Errorf("%w: %.200q has an empty token", ErrSubject, subject)
		}
		if !literal.containsAll(token) {
			return fmt.Errorf("%w: %.200q has a wildcard or a blank", ErrSubject, subject)
		}
	}
	return nil
}

// HeaderMsgID returns the value of the header Nats-Msg-Id for a message id: the id
// itself, or its hash if it is too long or not printable. HeaderMsgID of a header
// value is that value.
func HeaderMsgID(id string) string {
	if len(id) <= maxMsgID && printable.containsAll(id) {
		return id
	}
	return "sha256:" + Fingerprint(id)
}

// MsgID returns the id by which the stream recognised repetitions of the message,
// or "".
func (m *StoredMessage) MsgID() string { return headerValue(m.Header, jetstream.MsgIDHeader) }
