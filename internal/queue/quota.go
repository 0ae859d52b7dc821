package queue

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hawser-io/hawser/pkg/events"
)

// Quota is what one tenant's requests may take of the stream of requests. Zero fields mean
// the default.
type Quota struct {
	Messages uint64 // 100,000
	Bytes    uint64 // a quarter of the stream's size, or 256 MiB where it has none
}

// quotaLooks is the time between two looks at the stream.
const quotaLooks = time.Second

// Quotas says how much of the stream of requests each tenant uses. Safe for concurrent use.
type Quotas struct {
	streams  Streams
	subjects Subjects
	quota    Quota

	mu    sync.Mutex
	asked time.Time               // guarded by mu
	over  map[events.Tenant]Usage // tenants beyond their quota, guarded by mu
}

// NewQuotas returns the quotas of a queue.
func NewQuotas(q *Queue, quota Quota) *Quotas {
	return &Quotas{streams: q.Streams, subjects: q.Subjects, quota: quota}
}

// Usage is what lies in the stream of requests for a tenant.
type Usage struct {
	Messages, Bytes             uint64            // the bytes by the size of the newest message of each subject
	ExcessMessages, ExcessBytes uint64            // beyond the quota
	Subjects                    map[string]uint64 // with the number of their messages
}

// Exceeded reports whether a tenant's requests take more than its quota. The answer is a
// second old at most. An error of the server is no excess.
func (q *Quotas) Exceeded(ctx context.Context, t events.Tenant) bool {
	q.mu.Lock()
	stale := time.Since(q.asked) >= quotaLooks
	if stale {
		q.asked = time.Now()
	}
	q.mu.Unlock()
	if stale {
		if over, err := q.Over(ctx); err == nil {
			q.mu.Lock()
			q.over = over
			q.mu.Unlock()
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	_, exceeded := q.over[t]
	return exceeded
}

// Over returns the tenants whose requests take more than their quota. While all requests
// together take less, that is one question to the server.
func (q *Quotas) Over(ctx context.Context) (map[events.Tenant]Usage, error) {
	state, err := q.streams.State(ctx, events.Actions)
	if err != nil {
		return nil, err
	}
	messages, bytes := cmp.Or(q.quota.Messages, 100_000), cmp.Or(q.quota.Bytes, state.MaxBytes/4, 256<<20)
	if state.Messages <= messages && state.Bytes <= bytes {
		return nil, nil
	}
	counts, err := q.streams.SubjectCounts(ctx, events.Actions, q.streams.bus.Subjects.Actions())
	if err != nil {
		return nil, err
	}
	tenants := map[events.Tenant]*Usage{}
	for subject, count := range counts {
		ref, err := q.subjects.ParseAction(subject)
		if err != nil {
			continue // it is ended for that
		}
		u := tenants[ref.Tenant]
		if u == nil {
			u = &Usage{Subjects: map[string]uint64{}}
			tenants[ref.Tenant] = u
		}
		u.Subjects[subject] = count
		u.Messages += count
	}
	over := map[events.Tenant]Usage{}
	for tenant, u := range tenants {
		if state.Bytes > bytes {
			if err := q.measure(ctx, u); err != nil {
				return nil, err
			}
		}
		u.ExcessMessages, u.ExcessBytes = u.Messages-min(messages, u.Messages), u.Bytes-min(bytes, u.Bytes)
		if u.ExcessMessages+u.ExcessBytes > 0 {
			over[tenant] = *u
		}
	}
	return over, nil
}

// measured bounds the subjects of a tenant whose newest message is read.
const measured = 64

func (q *Quotas) measure(ctx context.Context, u *Usage) error {
	looked := 0
	for subject, count := range u.Subjects {
		if looked++; looked > measured {
			break
		}
		newest, err := q.streams.Newest(ctx, events.Actions, subject)
		if err == nil {
			u.Bytes += count * uint64(len(newest.Data))
		} else if !errors.Is(err, events.ErrNotFound) {
			return err
		}
	}
	return nil
}
