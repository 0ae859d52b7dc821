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
	// pullWait is how long a request for messages waits at the server.
	pullWait = 2 * time.Second
	// pullBatch bounds how many messages are asked for at once.
	pullBatch = 128
	// pullLate is how much longer an answer may be under way.
	pullLate = time.Second
)

// puller takes messages from a durable consumer, as many as are asked for (ADR-13
// of NATS describes the protocol). The ways to take that the client has hold more
// messages than there are places for, or cannot be ended without losing sight of
// what the server is sending at that moment; and they take a message whose headers
// a tenant has made look like the server's for the server's.
type puller struct {
	bus      *Bus
	sub      *nats.Subscription
	inbox    string // what answers a request: the number of the request follows
	consumer string // "<stream>.<durable>"
	number   int
	arrived  chan *nats.Msg // closed when nothing will come any more
}

func (b *Bus) newPuller(c Consumer) (*puller, error) {
	p := &puller{bus: b, inbox: b.nc.NewInbox() + ".", consumer: b.Subjects.StreamName(c.Stream) + "." + c.Name, arrived: make(chan *nats.Msg, pullBatch)}
	var err error
	if p.sub, err = b.nc.Subscribe(p.inbox+"*", func(msg *nats.Msg) { p.arrived <- msg }); err != nil {
		return nil, unavailable(err)
	}
	p.sub.SetClosedHandler(func(string) { close(p.arrived) })
	return p, nil
}

// take asks for as many messages as most and hands them to see, until they were
// that many or the request's time is over.
func (p *puller) take(ctx context.Context, most int, see func(*nats.Msg)) error {
	if p.bus.nc.Status() != nats.CONNECTED {
		return unavailable(nats.ErrDisconnected)
	}
	p.number++
	reply := p.inbox + strconv.Itoa(p.number)
	request := fmt.Sprintf(`{"batch":%d,"expires":%d}`, most, pullWait)
	if err := p.bus.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+p.consumer, reply, []byte(request)); err != nil {
		return unavailable(err)
	}
	over := time.NewTimer(pullWait + pullLate)
	defer over.Stop()
	for taken := 0; taken < most; {
		select {
		case msg, open := <-p.arrived:
			switch {
			case !open:
				return unavailable(nats.ErrBadSubscription)
			case msg.Reply != "":
				taken++
				see(msg)
			case msg.Subject == reply:
				return endOf(msg)
			}
		case <-over.C:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// endOf tells why the server ended a request. Only a message without a reply
// subject is the server's own word.
func endOf(status *nats.Msg) error {
	switch code := status.Header.Get("Status"); code {
	case "404", "408": // no message in the time given
		return nil
	case "503":
		return unavailable(nats.ErrNoResponders)
	default:
		return unavailable(errors.New("pull: " + code + " " + status.Header.Get("Description")))
	}
}

// drain tells the server that nothing more is wanted, and hands to see what it has
// sent until then. A server that does not answer is not waited for.
func (p *puller) drain(see func(*nats.Msg)) {
	if err := p.sub.Drain(); err != nil {
		return // the connection is gone, and what was on it
	}
	patience := time.AfterFunc(pullLate, func() { _ = p.sub.Unsubscribe() })
	defer patience.Stop()
	for msg := range p.arrived {
		if msg.Reply != "" {
			see(msg)
		}
	}
}
