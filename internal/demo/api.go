package demo

import (
	"net/http"
	"time"

	"github.com/google/uuid"
)

const (
	maxText    = 32 << 10
	maxName    = 200
	maxTimes   = 1_000_000
	maxSlow    = 2 * time.Minute
	defaultBox = "general"
)

// api is the part of the REST API that does something.
type api struct {
	authenticator *authenticator
	store         *store
}

// message is a message as it is stored for its idempotency key.
type message struct {
	ID      string `json:"id"`
	Text    string `json:"text"`
	Channel string `json:"channel"`
}

// postMessage is POST /api/messages {text, channel}. The same Idempotency-Key
// of the same account gives the same message, and counts once.
func (a *api) postMessage(r *http.Request) (reply, error) {
	who, err := a.authenticator.requireScope(r, "write")
	if err != nil {
		return nil, err
	}
	var in struct{ Text, Channel string }
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if in.Channel == "" {
		in.Channel = defaultBox
	}
	keys := r.Header.Values("Idempotency-Key")
	if in.Text == "" || len(in.Text) > maxText || len(in.Channel) > maxName || len(keys) > 1 || len(keys) == 1 && len(keys[0]) > maxName {
		return nil, badInput("text, channel or Idempotency-Key is missing, too long or repeated")
	}
	m := message{ID: newID(), Text: in.Text, Channel: in.Channel}
	key := ""
	if len(keys) == 1 && keys[0] != "" {
		key = fingerprint(who.account + "\n" + keys[0])
	}
	err = a.store.update(func(s *state) {
		if old, ok := s.Messages[key]; ok {
			m = old
			return
		}
		s.Stats.Messages++
		if key != "" {
			s.addMessage(key, m)
		}
	})
	return m, err
}

// fail is POST /api/fail {status, times?, id?, retryAfter?}: it answers status
// for the first times calls with the same id, then 200 {attempts}; without
// times always status. retryAfter, in seconds, is sent as Retry-After.
func (a *api) fail(r *http.Request) (reply, error) {
	who, err := a.authenticator.requireScope(r, "write")
	if err != nil {
		return nil, err
	}
	var in struct {
		Status     int    `json:"status"`
		Times      *int   `json:"times"`
		ID         string `json:"id"`
		RetryAfter int    `json:"retryAfter"`
	}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if in.Status < 400 || in.Status > 599 || in.RetryAfter < 0 || in.RetryAfter > 3600 {
		return nil, badInput("status must be 400 to 599, retryAfter 0 to 3600")
	}
	asked := refuse(in.Status, "as_asked", "the demo provider fails because it was asked to")
	asked.retryAfter = time.Duration(in.RetryAfter) * time.Second
	if in.Times == nil {
		return nil, asked
	}
	if *in.Times < 0 || *in.Times > maxTimes || in.ID == "" || len(in.ID) > maxName {
		return nil, badInput("times must be 0 to 1000000, and needs an id of 1 to 200 bytes")
	}
	attempts := 0
	err = a.store.update(func(s *state) { attempts = s.addFailure(fingerprint(who.account + "\n" + in.ID)) })
	if err == nil && attempts <= *in.Times {
		return nil, asked
	}
	return map[string]int{"attempts": attempts}, err
}

// slow is POST /api/slow {ms}: it answers after ms milliseconds.
func (a *api) slow(r *http.Request) (reply, error) {
	if _, err := a.authenticator.requireScope(r, "write"); err != nil {
		return nil, err
	}
	var in struct{ MS int }
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if in.MS < 0 || in.MS > int(maxSlow/time.Millisecond) {
		return nil, badInput("ms must be 0 to 120000")
	}
	timer := time.NewTimer(time.Duration(in.MS) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return map[string]int{"ms": in.MS}, nil
	case <-r.Context().Done():
		panic(http.ErrAbortHandler) // nobody is there to read an answer
	}
}

// charge is POST /api/charges {amount}. It takes no idempotency key, and has
// counted the call before it answers.
func (a *api) charge(r *http.Request) (reply, error) {
	if _, err := a.authenticator.requireScope(r, "write"); err != nil {
		return nil, err
	}
	var in struct{ Amount float64 }
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if in.Amount <= 0 {
		return nil, badInput("amount must be more than 0")
	}
	err := a.store.update(func(s *state) { s.Stats.Charges++ })
	return map[string]any{"id": newID(), "amount": in.Amount}, err
}

// counters is GET /_stats. It returns what the file holds.
func (a *api) counters(*http.Request) (reply, error) {
	var now stats
	err := a.store.update(func(s *state) { now = s.Stats })
	return now, err
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }
