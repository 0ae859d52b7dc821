package ingress

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	// storePatience bounds what a delivery may wait for our own stores once its body
	// is read: a provider that hears 503 soon tries again, and one that hears nothing
	// may give up. To find the connection, before, may take as long.
	storePatience = 1500 * time.Millisecond
	// largePatience is for bodies that do not fit into a message.
	largePatience = 10 * time.Second
	// sharing is for how long those who begin share a deadline, so that the last of
	// them has [storePatience], and the first so much more.
	sharing = 50 * time.Millisecond
)

// patient bounds the judging and storing of a delivery. Copies of it may wait for
// the outcome, so that must not hang on the patience of the caller who came first,
// or on how long his body took.
func (i *Ingress) patient(ctx context.Context, body []byte) (context.Context, context.CancelFunc) {
	if !i.Bus.Fits(len(body)) {
		return context.WithTimeout(context.WithoutCancel(ctx), largePatience)
	}
	return &bounded{Context: context.WithoutCancel(ctx), deadline: i.patience.now()}, func() {}
}

// bounded has the values of one context and ends with another.
type bounded struct {
	context.Context
	deadline context.Context
}

func (b *bounded) Deadline() (time.Time, bool) { return b.deadline.Deadline() }
func (b *bounded) Done() <-chan struct{}       { return b.deadline.Done() }
func (b *bounded) Err() error                  { return b.deadline.Err() }

// deadlines are the ends of [storePatience]. A context with a timer of its own
// costs a delivery as much as to compute its signature, so one is made for all who
// begin within [sharing]. The zero value is ready.
type deadlines struct{ latest atomic.Pointer[deadline] }

type deadline struct {
	context.Context
	until time.Time // when it is too late to share it
}

func (d *deadlines) now() context.Context {
	now := time.Now()
	latest := d.latest.Load()
	if latest == nil || now.After(latest.until) {
		// Of no caller's: it is for all of them.
		ctx, cancel := context.WithTimeout(context.Background(), storePatience+sharing)
		context.AfterFunc(ctx, cancel) // nobody may end it before its time
		latest = &deadline{ctx, now.Add(sharing)}
		d.latest.Store(latest)
	}
	return latest
}
