package demo

import "time"

// Bounds of the state.
const (
	maxGrants   = 100_000
	maxMessages = 10_000 // that are stored for their idempotency keys
	maxFailures = 10_000
	sweepEvery  = time.Minute
)

// state is everything that the provider stores, as it lies in its file.
type state struct {
	Stats    stats              `json:"stats"`
	Grants   map[string]grant   `json:"grants"`   // by grant id
	Messages map[string]message `json:"messages"` // by the fingerprint of account and idempotency key
	Failures map[string]int     `json:"failures"` // attempts, by the fingerprint of account and id
	Faults   map[string]fault   `json:"faults"`   // by endpoint

	swept time.Time
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

func newState() *state {
	return &state{Grants: map[string]grant{}, Messages: map[string]message{}, Failures: map[string]int{}, Faults: map[string]fault{}}
}

// addMessage stores a message for its key. The oldest one makes room.
func (s *state) addMessage(key string, m message) {
	if len(s.Messages) >= maxMessages {
		oldest := key
		for k, old := range s.Messages {
			if oldest == key || old.ID < s.Messages[oldest].ID { // UUIDv7 sorts by time
				oldest = k
			}
		}
		delete(s.Messages, oldest)
	}
	s.Messages[key] = m
}

// addFailure counts a call and returns the count.
func (s *state) addFailure(key string) int {
	if _, known := s.Failures[key]; !known && len(s.Failures) >= maxFailures {
		clear(s.Failures)
	}
	s.Failures[key]++
	return s.Failures[key]
}

// sweep deletes grants that have ended, at most once in [sweepEvery].
func (s *state) sweep(now time.Time) {
	if now.Sub(s.swept) < sweepEvery {
		return
	}
	s.swept = now
	for id, g := range s.Grants {
		if g.ended(now) {
			delete(s.Grants, id)
		}
	}
}
