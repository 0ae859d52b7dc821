package events

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// handed is a message that a durable consumer handed out. Its answers go where the
// server said.
type handed struct {
	*nats.Msg
	nc *nats.Conn
}

func (m handed) done() error                { return m.answer("+ACK") }
func (m handed) working() error             { return m.answer("+WPI") }
func (m handed) never(reason string) error  { return m.answer("+TERM " + reason) }
func (m handed) answer(answer string) error { return m.nc.Publish(m.Reply, []byte(answer)) }
func (m handed) again(after time.Duration) error {
	if after <= 0 {
		return m.answer("-NAK")
	}
	return m.answer(fmt.Sprintf(`-NAK {"delay":%d}`, after.Nanoseconds()))
}

// answerPatience is how long the server's answer to a pull may be on its way.
const answerPatience = time.Second

// ackPrefix begins the reply subject of every message that a consumer hands out.
const ackPrefix = "$JS.ACK."

// pull asks a durable consumer for up to most messages, and gives them to each as
// they come. It waits for the first up to patience at the server; with none, it
// takes what lies ready.
//
// The client's Fetch takes a message without data and with a header Status for a
// word of the server. Tenants publish requests themselves, with what headers they
// like, so that one of them could hold up all. What comes out of a stream is told
// by its reply subject instead, which the server alone sets.
func (l *loop) pull(most int, patience time.Duration, each func(handed)) error {
	request, err := json.Marshal(struct {
		Batch   int           `json:"batch"`
		Expires time.Duration `json:"expires,omitempty"`
		NoWait  bool          `json:"no_wait,omitempty"`
	}{most, patience, patience == 0})
	if err != nil {
		return err
	}
	nc := l.bus.nc
	answers := make(chan *nats.Msg, most+1) // and the word that ends them
	sub, err := nc.ChanSubscribe(nc.NewInbox(), answers)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+l.bus.Stream(l.Stream)+"."+l.Name, sub.Subject, request); err != nil {
		return err
	}
	enough := time.NewTimer(patience + answerPatience)
	defer enough.Stop()
	for taken := 0; taken < most; {
		select {
		case msg := <-answers:
			if !strings.HasPrefix(msg.Reply, ackPrefix) {
				return endOfPull(msg.Header)
			}
			taken++
			each(handed{msg, nc})
		case <-enough.C:
			return nil // a server that is gone is told by the connection
		}
	}
	return nil
}

// endOfPull is the error in the server's last word on a pull; nil if there was
// nothing (more) to hand out.
func endOfPull(h nats.Header) error {
	switch status := h.Get("Status"); status {
	case "404", "408": // no messages; the pull's time is over
		return nil
	case "503":
		return nats.ErrNoResponders
	default:
		return fmt.Errorf("the pull ended: %s %s", status, h.Get("Description"))
	}
}
