package events

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// Headers of a service's error reply, as the NATS micro protocol names them.
const (
	HeaderErrorCode = "Nats-Service-Error-Code"
	HeaderError     = "Nats-Service-Error"
)

// ErrNoResponders is returned when no service is subscribed to a subject.
var ErrNoResponders = errors.New("events: no service answers on this subject")

// requestTimeout bounds a Request whose context has no deadline.
const requestTimeout = 30 * time.Second

// Request sends a request to a service and returns its reply. [ErrNoResponders]
// when no service is subscribed, [ErrTooLarge], [ErrUnavailable] when no reply came
// in time: before ctx ends, or in 30 s if it has no deadline.
func (b *Bus) Request(ctx context.Context, subject string, data []byte) (Header, []byte, error) {
	if err := checkSubject(subject); err != nil {
		return nil, nil, err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, requestTimeout)
		defer cancel()
	}
	h := Header{}
	setTrace(ctx, h)
	msg, err := b.nc.RequestMsgWithContext(ctx, &nats.Msg{Subject: subject, Header: h, Data: data})
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, nil, fmt.Errorf("%w: %s", ErrNoResponders, subject)
	case err != nil:
		return nil, nil, classify(err)
	}
	return msg.Header, msg.Data, nil
}
