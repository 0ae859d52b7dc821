package executor

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

const sweepEvery = time.Second

// sweep answers requests for connectors that nobody has registered, so that they
// do not lie for ever. Every executor sweeps; the subject of the result and the
// deletion by sequence make that safe.
func (x *Executor) sweep(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := x.sweepOnce(ctx); err != nil && ctx.Err() == nil {
			x.problem(err)
		}
	}
}

func (x *Executor) sweepOnce(ctx context.Context) error {
	state, err := x.Bus.State(ctx, events.Actions)
	if err != nil || state.Messages == 0 {
		return err
	}
	subjects, err := x.Bus.Subjects(ctx, events.Actions, x.Bus.Actions())
	if err != nil {
		return err
	}
	for subject := range subjects {
		ref, err := x.Bus.ParseAction(subject)
		if err == nil {
			if _, unknown := x.Definitions.Get(ref.Connector); unknown == nil {
				continue
			}
		}
		if err := x.refuseUnserved(ctx, subject); err != nil {
			return err
		}
	}
	return nil
}

// refuseUnserved answers what has lain on a subject for too long.
func (x *Executor) refuseUnserved(ctx context.Context, subject string) error {
	for from := uint64(1); ctx.Err() == nil; {
		d, err := x.Bus.First(ctx, events.Actions, from, subject)
		if errors.Is(err, events.ErrNotFound) {
			return nil
		}
		if err != nil || time.Since(d.Stored) < x.opts.UnservedAfter {
			return err
		}
		request, malformed := x.Bus.ReadAction(d)
		if !errors.Is(malformed, events.ErrSubject) && !errors.Is(malformed, events.ErrToken) {
			j := &job{Executor: x, Action: request, delivery: d, began: time.Now(), log: x.log}
			if err := j.answer(ctx, nil, connectors.Errorf(connectors.CodeConnectorNotFound, "no connector %.64q is registered", request.Connector)); err != nil {
				return err
			}
		}
		if err := x.Bus.Remove(ctx, events.Actions, d.Sequence); err != nil {
			return err
		}
		from = d.Sequence + 1
	}
	return nil
}

// advisories is the backstop: the server's notice that it has stopped handing a
// message out, because executors died over it again and again.
func (x *Executor) advisories() events.Consumer {
	return events.Consumer{
		Name: "ran-out", Stream: events.Advisories, Filter: "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
		Description: "messages whose deliveries ran out", Slots: events.NewSlots(4), OnError: x.problem,
	}
}

func (x *Executor) ranOut(ctx context.Context, d *events.Delivery) error {
	var notice struct {
		Stream   string `json:"stream"`
		Sequence uint64 `json:"stream_seq"`
	}
	if err := json.Unmarshal(d.Data, &notice); err != nil {
		return events.Discard(err)
	}
	stream := events.Actions
	for _, s := range []events.Stream{events.Parked, events.Webhooks} {
		if notice.Stream == x.Bus.Stream(s) {
			stream = s
		}
	}
	message, err := x.Bus.Message(ctx, stream, notice.Sequence)
	if errors.Is(err, events.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if stream == events.Webhooks {
		return x.buryRanOut(ctx, message) // its stream is no queue: the webhook stays
	}
	if due, err := x.Bus.DueWebhook(ctx, message); err == nil {
		if err := x.buryRanOut(ctx, due); err != nil {
			return err
		}
		return x.Bus.Remove(ctx, stream, notice.Sequence)
	}
	request, malformed := x.Bus.ReadAction(message)
	if !errors.Is(malformed, events.ErrSubject) && !errors.Is(malformed, events.ErrToken) {
		j := &job{Executor: x, Action: request, delivery: message, began: time.Now(), log: x.log}
		e := connectors.Errorf(connectors.CodeConnectorActionFailed, "executors ended over this request again and again; it was given up on")
		if err := j.answer(ctx, nil, e); err != nil {
			return err
		}
		x.metrics.dead.Inc()
		if err := x.Bus.Bury(ctx, j.Action, string(e.Code)); err != nil {
			return err
		}
	}
	return x.Bus.Remove(ctx, stream, notice.Sequence)
}
