package executor

import (
	"context"
	"errors"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

const (
	sweepEvery = time.Second
	// mostRefused bounds what one sweep answers on one subject.
	mostRefused = 256
)

// sweep answers requests for connectors that nobody has registered, so that they
// do not lie for ever: new ones, and those that waited for their time while their
// connector went away. Webhooks whose handler went away are given up on. Every
// executor sweeps; the subject of the result and the deletion by sequence make
// that safe.
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
	return errors.Join(
		x.sweepStream(ctx, events.Actions, x.Bus.Actions()),
		// Not those that are parked still: their time will come.
		x.sweepStream(ctx, events.Parked, x.Bus.Prefix()+".due.>"))
}

func (x *Executor) sweepStream(ctx context.Context, stream events.Stream, filter string) error {
	state, err := x.Bus.State(ctx, stream)
	if err != nil || state.Messages == 0 {
		return err
	}
	subjects, err := x.Bus.Subjects(ctx, stream, filter)
	if err != nil {
		return err
	}
	fresh := false
	for subject := range subjects {
		if x.served(subject) {
			continue
		}
		if !fresh {
			// Before anything is refused for good: what the catalogue in memory lacks
			// may have been published a moment ago.
			if err := x.Definitions.Load(ctx); err != nil {
				return err
			}
			fresh = true
			if x.served(subject) {
				continue
			}
		}
		if err := x.refuseUnserved(ctx, stream, subject); err != nil {
			return err
		}
	}
	return nil
}

func (x *Executor) served(subject string) bool {
	if _, _, _, err := x.Bus.ParseSilence(subject); err == nil {
		return true // by every executor
	}
	connector := ""
	if webhook, err := x.Bus.WebhookOf(subject); err == nil {
		ref, err := x.Bus.ParseWebhook(webhook)
		if err != nil {
			return false
		}
		connector = ref.Connector
	} else {
		ref, err := x.Bus.ParseAction(subject)
		if err != nil {
			return false
		}
		connector = ref.Connector
	}
	_, unknown := x.Definitions.Get(connector)
	return unknown == nil
}

// refuseUnserved answers what has lain on a subject for too long.
func (x *Executor) refuseUnserved(ctx context.Context, stream events.Stream, subject string) error {
	from := uint64(1)
	for range mostRefused {
		d, err := x.Bus.First(ctx, stream, from, subject)
		if errors.Is(err, events.ErrNotFound) {
			return nil
		}
		if err != nil || time.Since(d.Stored) < x.opts.UnservedAfter {
			return err
		}
		if err := x.refuse(ctx, d); err != nil {
			return err
		}
		if err := x.Bus.Remove(ctx, stream, d.Sequence); err != nil {
			return err
		}
		from = d.Sequence + 1
	}
	return nil
}

func (x *Executor) refuse(ctx context.Context, d *events.Delivery) error {
	if webhook, err := x.Bus.DueWebhook(ctx, d); err == nil {
		return x.refuseWebhook(ctx, webhook, events.Attempts(d))
	} else if !errors.Is(err, events.ErrSubject) {
		if errors.Is(err, events.ErrNotFound) {
			return nil // its retention is over
		}
		return err
	}
	request, malformed := x.Bus.ReadAction(d)
	if errors.Is(malformed, events.ErrSubject) || errors.Is(malformed, events.ErrToken) {
		return x.keepEvidence(ctx, d, malformed)
	}
	j := x.job(request, d)
	gone := connectors.Errorf(connectors.CodeConnectorNotFound, "no connector %.64q is registered", request.Connector)
	if request.Attempt == 0 {
		return j.answer(ctx, nil, gone)
	}
	// It was tried before: somebody may want it tried again, once there is a
	// connector. The sweep is no attempt.
	d.Attempt = 0
	if done, err := j.answered(ctx); done || err != nil {
		return err
	}
	return j.giveUp(ctx, gone)
}

func (x *Executor) refuseWebhook(ctx context.Context, d *events.Delivery, attempts int) error {
	ref, err := x.Bus.ParseWebhook(d.Subject)
	if err != nil {
		return x.keepEvidence(ctx, d, err)
	}
	event, err := events.Decode(d.Header, d.Data)
	if err != nil {
		return x.keepEvidence(ctx, d, err)
	}
	h := &handling{
		Executor: x, connector: &connectors.Connector{Key: ref.Connector}, webhook: d, event: event,
		about: webhookAbout(ref, event), attempt: attempts, began: time.Now(), log: x.log,
	}
	return h.conclude(ctx, connectors.Permanent(connectors.Errorf(connectors.CodeConnectorNotFound, "no connector %.64q is registered", ref.Connector)))
}
