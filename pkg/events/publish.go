package events

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// maxSubject bounds subjects: a server closes a connection for good at 4 KB.
	// Every subject that can be made from a tenant's own has room here, so that
	// no request can be taken and not be answered.
	maxSubject = 2048
	// maxMsgID bounds what a stream remembers of a message for its whole window.
	maxMsgID = 512
)

// errSpent is the answer to code that publishes a message again that is stored.
var errSpent = errors.New("events: the message was published before and is spent; make another")

// PublishOptions of one publish. The zero value is a plain one.
type PublishOptions struct {
	// MsgID lets the stream drop a repetition inside its window. The window is
	// stream-wide: begin the id with the tenant and the connector. It may be any
	// string; what does not fit into a header is replaced by its hash.
	MsgID string
	// First publishes only if the subject holds no message; else [ErrExists].
	First bool
}

// Ack is the stream's word that it has the message.
type Ack struct {
	Sequence  uint64
	Duplicate bool // the stream had it already, by MsgID
}

// Pending is a publish under way. Wait for it once.
type Pending struct {
	future  jetstream.PubAckFuture
	bus     *Bus
	message *Message // nil if the headers are the caller's own
}

// Publish stores m on subject and waits for the stream's ack, at most the bus's
// publish timeout; with it, m is spent. The trace of ctx travels along. Errors: [ErrUnavailable]
// (it may be stored or not: repeat with the same MsgID, or First), [ErrExists],
// [ErrTooLarge], [ErrSubject].
func (b *Bus) Publish(ctx context.Context, subject string, m *Message, opts *PublishOptions) (Ack, error) {
	p, err := b.PublishAsync(ctx, subject, m, opts)
	if err != nil {
		return Ack{}, err
	}
	return p.Wait(ctx)
}

// PublishAsync sends m without waiting; [Pending.Wait] tells what became of it.
// Several callers share one write to the network.
func (b *Bus) PublishAsync(ctx context.Context, subject string, m *Message, opts *PublishOptions) (*Pending, error) {
	if m.Header == nil {
		return nil, errSpent
	}
	setTrace(ctx, m.Header)
	p, err := b.PublishRaw(subject, m.Header, m.Data, opts)
	if err == nil {
		p.message = m
	}
	return p, err
}

// Send is PublishAsync without an ack, for events that tell of a beginning and
// that another event follows: messages of one connection reach a stream in their
// order, so the ack of a later one says that this one had its turn. What cannot
// be sent is lost; what is sent is spent.
func (b *Bus) Send(ctx context.Context, subject string, m *Message) error {
	if err := checkSubject(subject); err != nil {
		return err
	}
	if m.Header == nil {
		return errSpent
	}
	setTrace(ctx, m.Header)
	if err := b.nc.PublishMsg(&nats.Msg{Subject: subject, Header: m.Header, Data: m.Data}); err != nil {
		return fmt.Errorf("publish %s: %w", subject, classify(err))
	}
	m.spend() // the client has written it
	return nil
}

// PublishRaw is PublishAsync of a message as it is. h and data belong to the bus
// from now on; the options are written into h.
func (b *Bus) PublishRaw(subject string, h Header, data []byte, opts *PublishOptions) (*Pending, error) {
	if err := checkSubject(subject); err != nil {
		return nil, err
	}
	if opts != nil && opts.MsgID != "" {
		put(h, jetstream.MsgIDHeader, messageID(opts.MsgID))
	}
	if opts != nil && opts.First {
		put(h, jetstream.ExpectedLastSubjSeqHeader, "0")
	}
	future, err := b.js.PublishMsgAsync(&nats.Msg{Subject: subject, Header: h, Data: data})
	if err != nil {
		return nil, fmt.Errorf("publish %s: %w", subject, classify(err))
	}
	return &Pending{future: future, bus: b}, nil
}

// put writes a header of a publish. One that says so already is left alone: the
// client may be reading the headers still, to send them once more.
func put(h Header, name, value string) {
	if v := h[name]; len(v) != 1 || v[0] != value {
		h[name] = []string{value}
	}
}

// Wait returns the stream's ack, with which the message is spent. See [Bus.Publish]
// for the errors.
func (p *Pending) Wait(ctx context.Context) (Ack, error) {
	ack, err := p.wait(ctx)
	switch {
	case p.message == nil:
	case err == nil:
		p.message.spend()
	default:
		p.message.retain()
	}
	return ack, err
}

func (p *Pending) wait(ctx context.Context) (Ack, error) {
	select {
	case ack := <-p.future.Ok():
		return Ack{ack.Sequence, ack.Duplicate}, nil
	case err := <-p.future.Err():
		return Ack{}, fmt.Errorf("publish %s: %w", p.future.Msg().Subject, p.bus.heal(ctx, err, classify(err)))
	case <-ctx.Done():
		return Ack{}, fmt.Errorf("publish %s: %w", p.future.Msg().Subject, unavailable(ctx.Err()))
	}
}

// checkSubject refuses what is no literal subject, or could break the protocol.
func checkSubject(subject string) error {
	if len(subject) > maxSubject {
		return fmt.Errorf("%w: %d bytes, at most %d are taken", ErrSubject, len(subject), maxSubject)
	}
	for token := range strings.SplitSeq(subject, ".") {
		if token == "" {
			return fmt.Errorf("%w: %.200q has an empty token", ErrSubject, subject)
		}
		for i := range len(token) {
			if c := token[i]; c <= ' ' || c == 0x7f || c == '*' || c == '>' {
				return fmt.Errorf("%w: %.200q has a wildcard or a blank", ErrSubject, subject)
			}
		}
	}
	return nil
}

// messageID makes any string a header value of bounded length.
func messageID(id string) string {
	fits := len(id) <= maxMsgID
	for i := 0; fits && i < len(id); i++ {
		fits = id[i] > ' ' && id[i] < 0x7f
	}
	if fits {
		return id
	}
	return "sha256:" + hashOf(id)
}
