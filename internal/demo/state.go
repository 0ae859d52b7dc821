package demo

import (
	"time"
)

// Bounds of what the provider remembers.
const (
	maxGrants       = 100_000
	maxMessageBytes = 64 << 20 // of messages kept for their idempotency keys
	maxFailures     = 10_000
	sweepEvery      = time.Minute
)

// state is everything the provider remembers. Its values never change once
// they are in: a change puts a new value in the place of the old one.
type state struct {
	stats    stats
	grants   map[string]grant // grant id → grant
	messages window[message]  // by message key
	failures window[failure]  // by failure key
	faults   map[string]fault // endpoint → fault
	swept    time.Time
}

// stats are the counters of GET /_stats.
type stats struct {
	Exchanges    int `json:"exchanges"`
	Refreshes    int `json:"refreshes"`
	Reuses       int `json:"reuses"`
	Revocations  int `json:"revocations"`
	Messages     int `json:"messages"`
	Charges      int `json:"charges"`
	WebhooksSent int `json:"webhooks_sent"`
}

// change is one step of the state, and one line of the journal. Each part
// that is not nil replaces the value of the same name or key, so that applying
// a change twice is the same as once.
type change struct {
	Stats   *stats   `json:"stats,omitempty"`
	Grant   *grant   `json:"grant,omitempty"`
	Message *message `json:"message,omitempty"`
	Failure *failure `json:"failure,omitempty"`
	Fault   *fault   `json:"fault,omitempty"`
}

func newState() *state {
	return &state{
		grants:   map[string]grant{},
		messages: newWindow[message](maxMessageBytes),
		failures: newWindow[failure](maxFailures),
		faults:   map[string]fault{},
	}
}

func (s *state) apply(c change) {
	if c.Stats != nil {
		s.stats = *c.Stats
	}
	if c.Grant != nil {
		s.grants[c.Grant.ID] = *c.Grant
	}
	if c.Message != nil {
		s.messages.put(c.Message.Key, *c.Message)
	}
	if c.Failure != nil {
		s.failures.put(c.Failure.Key, *c.Failure)
	}
	if c.Fault != nil {
		s.faults[c.Fault.Endpoint] = *c.Fault
	}
}

// counted returns the counters after count was called on a copy of them.
func (s *state) counted(count func(*stats)) *stats {
	next := s.stats
	count(&next)
	return &next
}

// changes returns the changes that turn an empty state into this one.
func (s *state) changes() []change {
	all := []change{{Stats: s.counted(func(*stats) {})}}
	for _, g := range s.grants {
		all = append(all, change{Grant: &g})
	}
	for _, key := range s.messages.order {
		m := s.messages.items[key]
		all = append(all, change{Message: &m})
	}
	for _, key := range s.failures.order {
		f := s.failures.items[key]
		all = append(all, change{Failure: &f})
	}
	for _, f := range s.faults {
		all = append(all, change{Fault: &f})
	}
	return all
}

// sweepSometimes sweeps if the last time is long enough ago.
func (s *state) sweepSometimes(now time.Time) {
	if now.Sub(s.swept) >= sweepEvery {
		s.sweep(now)
	}
}

// sweep forgets grants that nothing can be done with any more. It needs no
// line in the journal: a restart sweeps again.
func (s *state) sweep(now time.Time) {
	s.swept = now
	for id, g := range s.grants {
		if g.forgettable(now) {
			delete(s.grants, id)
		}
	}
}

// sized is what a window can hold: size is its share of the window's budget.
type sized interface{ size() int }

// window remembers the latest items by key within a budget, and forgets the
// oldest first.
type window[T sized] struct {
	budget int
	used   int
	items  map[string]T
	order  []string // keys, oldest first
}

func newWindow[T sized](budget int) window[T] {
	return window[T]{budget: budget, items: map[string]T{}}
}

func (w *window[T]) put(key string, item T) {
	if old, ok := w.items[key]; ok {
		w.used -= old.size()
	} else {
		w.order = append(w.order, key)
	}
	w.items[key] = item
	w.used += item.size()
	for w.used > w.budget && len(w.order) > 1 {
		oldest := w.order[0]
		w.order = w.order[1:]
		w.used -= w.items[oldest].size()
		delete(w.items, oldest)
	}
}
