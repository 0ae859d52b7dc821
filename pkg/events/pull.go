package events

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// pullExpiry is how long a pull request waits at the server.
	pullExpiry = 2 * time.Second
	// pullBatch bounds the messages of one pull request.
	pullBatch = 128
	// pullLatency is how much longer a reply may take.
	pullLatency = time.Second
)

// puller sends pull requests to a durable consumer (NATS ADR-13). The client's own
// consumers do not fit: they buffer more messages than there are free slots, or lose
// the messages that are on their way when they are stopped; and they treat a message
// with a header Status, which a tenant can set, as one of the server.
type puller struct {
	bus      *Bus
	sub      *nats.Subscription
	inbox    string // of replies; the number of the request follows
	consumer string // "<stream>.<durable>"
	requests int
	arrived  chan *nats.Msg // closed with the subscription
}

func (b *Bus) newPuller(c Consumer) (*puller, error) {
	p := &puller{
		bus: b, inbox: b.nc.NewInbox() + ".", consumer: b.Subjects.StreamName(c.Stream) + "." + c.Name,
		arrived: make(chan *nats.Msg, pullBatch),
	}
	var err error
	if p.sub, err = b.nc.Subscribe(p.inbox+"*", func(msg *nats.Msg) { p.arrived <- msg }); err != nil {
		return nil, unavailable(err)
	}
	p.sub.SetClosedHandler(func(string) { close(p.arrived) })
	return p, nil
}

// pull requests n messages and calls receive with each, until there were n or the
// request has expired.
func (p *puller) pull(ctx context.Context, n int, receive func(*nats.Msg)) error {
	if p.bus.nc.Status() != nats.CONNECTED {
		return unavailable(nats.ErrDisconnected)
	}
	p.requests++
	reply := p.inbox + strconv.Itoa(p.requests)
	request := fmt.Sprintf(`{"batch":%d,"expires":%d}`, n, pullExpiry)
	if err := p.bus.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+p.consumer, reply, []byte(request)); err != nil {
		return unavailable(err)
	}
	expired := time.NewTimer(pullExpiry + pullLatency)
	defer expired.Stop()
	for received := 0; received < n; {
		select {
		case msg, open := <-p.arrived:
			switch {
			case !open:
				return unavailable(nats.ErrBadSubscription)
			case msg.Reply != "":
				received++
				receive(msg)
			case msg.Subject == reply:
				return statusError(msg)
			}
		case <-expired.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// statusError returns why the server ended a pull request. Only the server sends
// messages without a reply subject here.
func statusError(status *nats.Msg) error {
	switch code := status.Header.Get("Status"); code {
	case "404", "408": // no message before the request expired
		return nil
	case "503":
		return unavailable(nats.ErrNoResponders)
	default:
		return unavailable(errors.New("pull request: " + code + " " + status.Header.Get("Description")))
	}
}

// drain ends the subscription, and calls receive with the messages that the server
// has sent until then. It waits for the server for at most pullLatency.
func (p *puller) drain(receive func(*nats.Msg)) {
	if err := p.sub.Drain(); err != nil {
		return // the connection is lost, with what was on its way
	}
	timeout := time.AfterFunc(pullLatency, func() { _ = p.sub.Unsubscribe() })
	defer timeout.Stop()
	for msg := range p.arrived {
		if msg.Reply != "" {
			receive(msg)
		}
	}
}
