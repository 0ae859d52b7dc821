package events

import "github.com/nats-io/nats.go/jetstream"

// MessageID is the id by which the stream told repetitions of this message, or "".
func MessageID(d *Delivery) string { return headerValue(d.Header, jetstream.MsgIDHeader) }
