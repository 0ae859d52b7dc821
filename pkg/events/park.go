package events

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Headers of our own on parked messages and dead letters.
const (
	HeaderAttempt = "Hawser-Attempt" // attempts made so far
	HeaderFresh   = "Hawser-Fresh"   // the id was made for this message, so it has no result yet
	HeaderAwaited = "Hawser-Awaited" // somebody listens for the result to be stored
	// The lifecycle event about the last attempt is not stored yet.
	HeaderEventPending = "Hawser-Event-Pending"
	HeaderReason       = "Hawser-Reason"  // the error code a dead letter died of
	HeaderSubject      = "Hawser-Subject" // where a dead letter came from
)

// Park stores a request to be handed out at the given time on [Names.Due], and
// returns when the stream has it. A request that is parked again replaces what
// waits. Nothing but what [Action] says is kept: whatever other header a client
// sent does not become an instruction to the server. Errors as [Bus.PublishAction].
func (b *Bus) Park(ctx context.Context, a Action, at time.Time) error {
	return b.store(ctx, b.Parked(a.ActionRef, a.ID), a, schedule(at, b.Due(a.ActionRef)), nil)
}

// schedule is the headers that have a message published on target at a time.
//
// The time is written by hand with nanoseconds, because the client's option cuts
// it to the second and would let it fire early.
func schedule(at time.Time, target string) Header {
	return Header{
		jetstream.ScheduleHeader:       {"@at " + at.UTC().Format(time.RFC3339Nano)},
		jetstream.ScheduleTargetHeader: {target},
	}
}

// Bury stores a request that was given up on as a dead letter: the request, the
// attempts made, and the code of the error it died of. Burying it twice within
// the stream's window leaves one letter. Errors as [Bus.PublishAction].
func (b *Bus) Bury(ctx context.Context, a Action, reason string) error {
	return b.store(ctx, b.DeadAction(a.ActionRef), a, Header{
		HeaderReason:  {percentEncode(reason)},
		HeaderSubject: {b.Action(a.ActionRef)},
	}, &PublishOptions{MsgID: "dead/" + Reference(a.ActionRef, a.ID)})
}
