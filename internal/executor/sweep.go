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
		if err := x.refuseUnserved(ctx, subject); err != nil {
			return err
		}
	}
	return nil
}

func (x *Executor) served(subject string) bool {
	ref, err := x.Bus.ParseAction(subject)
	if err != nil {
		return false
	}
	_, unknown := x.Definitions.Get(ref.Connector)
	return unknown == nil
}

// refuseUnserved answers what has lain on a subject for too long.
func (x *Executor) refuseUnserved(ctx context.Context, subject string) error {
	from := uint64(1)
	for range mostRefused {
		d, err := x.Bus.First(ctx, events.Actions, from, subject)
		if errors.Is(err, events.ErrNotFound) {
			return nil
		}
		if err != nil || time.Since(d.Stored) < x.opts.UnservedAfter {
			return err
		}
		if err := x.refuse(ctx, d); err != nil {
			return err
		}
		if err := x.Bus.Remove(ctx, events.Actions, d.Sequence); err != nil {
			return err
		}
		from = d.Sequence + 1
	}
	return nil
}

func (x *Executor) refuse(ctx context.Context, d *events.Delivery) error {
	request, malformed := x.Bus.ReadAction(d)
	if errors.Is(malformed, events.ErrSubject) || errors.Is(malformed, events.ErrToken) {
		return x.keepEvidence(ctx, d, malformed)
	}
	request.Attempt = 0
	return x.job(request, d).answer(ctx, nil, connectors.Errorf(connectors.CodeConnectorNotFound, "no connector %.64q is registered", request.Connector))
}
