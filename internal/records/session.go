package records

import (
	"context"
	"time"
)

// SessionLife is how long the link of a connect session is good.
const SessionLife = 30 * time.Minute

const sessionRetention = 2 * time.Hour

// Session is a link with which an end user connects connectors for a tenant. It
// belongs to the first browser that opens it, and is good for one connection.
type Session struct {
	Scope      string    `json:"scope"`
	Identity   string    `json:"identity"`
	Connectors []string  `json:"connectors,omitempty"` // to choose from; none: all
	Account    string    `json:"account,omitempty"`
	ReturnURL  string    `json:"return_url,omitempty"`
	Browser    string    `json:"browser,omitempty"` // SHA-256 of its cookie, in hex
	ExpiresAt  time.Time `json:"expires_at"`
	// Status is open, pending (at the provider), selecting, connected or failed.
	Status    string `json:"status"`
	Connector string `json:"connector,omitempty"` // what was chosen
	Code      string `json:"code,omitempty"`      // of a failure
	Flow      string `json:"flow,omitempty"`      // record of the authorisation that it waits for

	key      string
	revision uint64
}

// Key is where the session lies: a hash of its token.
func (s *Session) Key() string { return s.key }

// Sessions keeps connect sessions. Safe for concurrent use.
type Sessions struct{ documents }

// NewSessions returns the sessions kept in buckets.
func NewSessions(buckets Buckets) *Sessions {
	return &Sessions{documents{buckets.Sessions, "connect session"}}
}

// Create stores a new session.
func (s *Sessions) Create(ctx context.Context, key string, session *Session) error {
	_, err := s.create(ctx, key, session)
	return err
}

// Latest reads a session. kvstore.ErrNotFound if there is none.
func (s *Sessions) Latest(ctx context.Context, key string) (*Session, error) {
	session := &Session{key: key}
	var err error
	if session.revision, err = s.latest(ctx, key, session); err != nil {
		return nil, err
	}
	return session, nil
}

// Save stores the session over the revision that it was read at. kvstore.ErrConflict:
// somebody was faster.
func (s *Sessions) Save(ctx context.Context, session *Session) error {
	revision, err := s.save(ctx, session.key, session, session.revision)
	if err == nil {
		session.revision = revision
	}
	return err
}
