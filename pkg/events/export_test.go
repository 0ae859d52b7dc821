package events

import (
	"context"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// SetTrace is what every publish does with the trace of its context.
var SetTrace = setTrace

// PublishGroup publishes one message on each subject as one group, whatever its size.
func PublishGroup(ctx context.Context, b *Bus, subjects []string) []error {
	var group []*member
	for _, subject := range subjects {
		group = append(group, &member{msg: &nats.Msg{Subject: subject, Header: Header{jetstream.ExpectedLastSubjSeqHeader: {"0"}}, Data: []byte("x")}})
	}
	return b.publishGroup(ctx, group)
}
