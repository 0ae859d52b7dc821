package executor

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// A connector's new requests lie in one line, whoever sent them. While there is
// a backlog, an executor takes a look along the line and lets requests pass that
// should not wait for all those before them: of tenants who have next to nothing
// at work while somebody else has much, and urgent ones. To let pass is to
// publish the request where parked ones come back (which is another line, and
// one in which nobody waits), and then to remove it from this one. The cost goes
// with how many pass, not with how many are passed.
//
// A crash between the two leaves the request twice, and an executor may be handed
// the original at the very moment: that is a repeated request, no more. Its id is
// the same, so there is one result, and what may not be called twice is not.
type overtaking struct {
	*Executor
	connector *connectors.Connector
	gate      *gate
	held      atomic.Int64  // new requests that this process has taken and not finished
	head      uint64        // sequence that the line had been handed out to at the last look; 0 without a backlog
	looked    uint64        // sequence up to which urgent ones were looked for
	pause     time.Duration // until the next look
}

const (
	overtakeEvery = 100 * time.Millisecond
	// What one look along the line may cost: to move requests of tenants, and to
	// look for urgent ones.
	moveTime, movesAtOnce = 100 * time.Millisecond, 8
	lookTime, lookBytes   = 25 * time.Millisecond, 8 << 20
)

// counted counts what this process holds of the line.
func (o *overtaking) counted(handle func(context.Context, *events.Delivery) error) func(context.Context, *events.Delivery) error {
	return func(ctx context.Context, d *events.Delivery) error {
		o.held.Add(1)
		defer o.held.Add(-1)
		return handle(ctx, d)
	}
}

func (o *overtaking) run(ctx context.Context) error {
	next := time.NewTimer(overtakeEvery)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-next.C:
		}
		o.pause = overtakeEvery
		if o.gate.queue() == 0 && o.held.Load() < int64(o.opts.Concurrency) {
			o.head = 0
		} else if err := o.once(ctx); err != nil && ctx.Err() == nil {
			o.problem(err)
		}
		next.Reset(o.pause)
	}
}

func (o *overtaking) once(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	consumer, err := o.Bus.JetStream().Consumer(ctx, o.Bus.Stream(events.Actions), newName(o.connector))
	if err != nil {
		return err
	}
	info := consumer.CachedInfo()
	before, head := o.head, info.Delivered.Stream
	o.head = head
	if info.NumPending == 0 || before == 0 {
		return nil
	}
	// What will be handed out before the next look is left alone: nobody gains by
	// moving it, and somebody may be handed it at that moment.
	head += head - min(before, head)
	if err := o.letTenantsPass(ctx, head); err != nil {
		return err
	}
	return o.letUrgentPass(ctx, head)
}

// letTenantsPass moves requests of those tenants who could have more places than
// they have: who has least at work comes first, then who has least in line. Who
// has most at work is being served, and stays in line.
func (o *overtaking) letTenantsPass(ctx context.Context, head uint64) error {
	began := time.Now()
	lying, err := o.Bus.Subjects(ctx, events.Actions, o.Bus.ActionFilter(o.connector.Key))
	if err != nil {
		return err
	}
	// A line with very many subjects takes long to look along.
	o.pause = max(o.pause, 9*time.Since(began))
	tenants := o.inLine(lying)
	if len(tenants) < 2 {
		return nil
	}
	tenants = tenants[:len(tenants)-1]
	each, until := max(o.opts.Concurrency/len(tenants), 1), time.Now().Add(moveTime)
	var movers errgroup.Group
	movers.SetLimit(movesAtOnce)
	for _, t := range tenants[:min(len(tenants), o.opts.Concurrency)] {
		movers.Go(func() error { return o.letPass(ctx, head, t, each, until) })
	}
	return movers.Wait()
}

// tenantInLine is what lies in line for a tenant, and how much of it is at work.
type tenantInLine struct {
	events.Tenant
	subjects []string
	lying    uint64
	running  int
}

func (o *overtaking) inLine(lying map[string]uint64) []*tenantInLine {
	byTenant := map[events.Tenant]*tenantInLine{}
	for subject, count := range lying {
		ref, err := o.Bus.ParseAction(subject)
		if err != nil {
			continue
		}
		t := byTenant[ref.Tenant]
		if t == nil {
			t = &tenantInLine{Tenant: ref.Tenant, running: o.gate.running(ref.Tenant)}
			byTenant[ref.Tenant] = t
		}
		t.subjects = append(t.subjects, subject)
		t.lying += count
	}
	return slices.SortedFunc(maps.Values(byTenant), func(a, b *tenantInLine) int {
		return cmp.Or(cmp.Compare(a.running, b.running), cmp.Compare(a.lying, b.lying))
	})
}

// letPass moves at most most requests of a tenant, as time allows; one at least.
func (o *overtaking) letPass(ctx context.Context, head uint64, t *tenantInLine, most int, until time.Time) error {
	room := min(o.gate.room(t.Tenant), most)
	for _, subject := range t.subjects {
		moved, err := o.moveFrom(ctx, head, subject, room, until)
		if room -= moved; err != nil || room <= 0 {
			return err
		}
	}
	return nil
}

// moveFrom moves requests on a subject that lie behind head.
func (o *overtaking) moveFrom(ctx context.Context, head uint64, subject string, most int, until time.Time) (moved int, err error) {
	for moved < most && (moved == 0 || time.Now().Before(until)) {
		d, err := o.Bus.First(ctx, events.Actions, head+1, subject)
		if errors.Is(err, events.ErrNotFound) {
			return moved, nil
		}
		if err != nil {
			return moved, err
		}
		if err := o.move(ctx, d); err != nil {
			return moved, err
		}
		moved++
		head = d.Sequence
	}
	return moved, nil
}

// letUrgentPass looks at what it has not looked at yet, a bit at a time.
func (o *overtaking) letUrgentPass(ctx context.Context, head uint64) error {
	o.looked = max(o.looked, head)
	size := 0
	for until := time.Now().Add(lookTime); time.Now().Before(until) && size < lookBytes; {
		d, err := o.Bus.First(ctx, events.Actions, o.looked+1, o.Bus.ActionFilter(o.connector.Key))
		if errors.Is(err, events.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		o.looked = d.Sequence
		size += len(d.Data)
		if request, malformed := o.Bus.ReadAction(d); malformed == nil && request.High {
			if err := o.move(ctx, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// move publishes a request where it is taken at once, then removes it from the line.
func (o *overtaking) move(ctx context.Context, d *events.Delivery) error {
	request, malformed := o.Bus.ReadAction(d)
	if malformed != nil {
		return nil // its refusal can wait
	}
	request.Attempt, request.MadeUp = 0, false
	h := request.Headers()
	for _, name := range []string{events.ExtTraceParent, events.ExtTraceState} {
		for _, spelling := range []string{name, "ce-" + name} {
			if v := d.Header[spelling]; len(v) > 0 {
				h["ce-"+name] = v
			}
		}
	}
	once := "moved/" + strconv.FormatUint(d.Sequence, 10) + "/" + strconv.FormatInt(d.Stored.UnixNano(), 36)
	p, err := o.Bus.PublishRaw(o.Bus.Due(request.ActionRef), h, request.Input, &events.PublishOptions{MsgID: once})
	if err == nil {
		_, err = p.Wait(ctx)
	}
	if errors.Is(err, events.ErrTooLarge) {
		return nil
	}
	if err != nil {
		return err
	}
	o.metrics.overtaken.Inc()
	return o.Bus.Remove(ctx, events.Actions, d.Sequence)
}
