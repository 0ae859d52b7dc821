package events

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Headers of our own on parked messages and dead letters.
const (
	HeaderAttempt = "Hawser-Attempt" // attempts made so far
	HeaderReason  = "Hawser-Reason"  // the error code a dead letter died of
	HeaderSubject = "Hawser-Subject" // where a dead letter came from
)

// Park stores a request to be handed out at the given time on [Names.Due], and
// returns when the stream has it. A request that is parked again replaces what
// waits. Nothing but what [Action] says is kept: whatever other header a client
// sent does not become an instruction to the server.
//
// The schedule's time is written by hand with nanoseconds, because the client's
// option cuts it to the second and would let it fire early.
func (b *Bus) Park(ctx context.Context, a Action, at time.Time) error {
	h := a.Headers()
	setTrace(ctx, h)
	h[jetstream.ScheduleHeader] = []string{"@at " + at.UTC().Format(time.RFC3339Nano)}
	h[jetstream.ScheduleTargetHeader] = []string{b.Due(a.ActionRef)}
	p, err := b.PublishRaw(b.Parked(a.ActionRef, a.ID), h, a.Input, nil)
	if err != nil {
		return err
	}
	_, err = p.Wait(ctx)
	return err
}

// Bury stores a request that was given up on as a dead letter: the request, the
// attempts made, and the code of the error it died of.
func (b *Bus) Bury(ctx context.Context, a Action, reason string) error {
	h := a.Headers()
	setTrace(ctx, h)
	h[HeaderReason] = []string{reason}
	h[HeaderSubject] = []string{b.Action(a.ActionRef)}
	msgID := "dead/" + Reference(a.ActionRef, a.ID)
	p, err := b.PublishRaw(b.DeadAction(a.ActionRef), h, a.Input, &PublishOptions{MsgID: msgID})
	if err != nil {
		return err
	}
	_, err = p.Wait(ctx)
	return err
}
