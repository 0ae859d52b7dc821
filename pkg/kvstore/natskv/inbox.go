package natskv

import (
	"context"

	"github.com/nats-io/nats.go"
)

// inbox receives the answers to one question that has many. It is made for a
// known number of messages, and much lighter than the client's synchronous
// subscription, which allocates half a megabyte.
type inbox struct {
	sub      *nats.Subscription
	messages chan *nats.Msg
}

// newInbox returns an inbox that loses nothing as long as no more than size
// messages wait in it.
func newInbox(nc *nats.Conn, size int) (*inbox, error) {
	messages := make(chan *nats.Msg, size)
	sub, err := nc.ChanSubscribe(nc.NewInbox(), messages)
	if err != nil {
		return nil, err
	}
	return &inbox{sub, messages}, nil
}

func (i *inbox) subject() string { return i.sub.Subject }

// next waits for a message. Nobody to answer is nats.ErrNoResponders.
func (i *inbox) next(ctx context.Context) (*nats.Msg, error) {
	select {
	case m := <-i.messages:
		if len(m.Data) == 0 && m.Header.Get("Status") == "503" {
			return nil, nats.ErrNoResponders
		}
		return m, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (i *inbox) close() { _ = i.sub.Unsubscribe() }
