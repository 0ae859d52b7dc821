package records

import (
	"context"
	"time"
)

// SessionLife is how long the link of a connect session is valid.
const SessionLife = 30 * time.Minute

const sessionRetention = 2 * time.Hour

// Session is a link with which an end user connects connectors for a tenant. It
// belongs to the first browser that submits its page, and is good for one connection.
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
	Flow      string `json:"flow,omitempty"`      // key of its pending authorisation

	key      string
	revision uint64
}

// Key returns the key of the record: a hash of the link's token.
func (s *Session) Key() string { return s.key }

// Sessions reads and writes connect sessions. Safe for concurrent use.
type Sessions struct{ documents }

// NewSessions returns the sessions of buckets.
func NewSessions(buckets Buckets) *Sessions {
	return &Sessions{documents{buckets.Sessions, "connect session"}}
}

// Create stores a new session.
func (s *Sessions) Create(ctx context.Context, key string, session *Session) error {
	_, err := s.create(ctx, key, session)
	return err
}

// Latest reads a session from the leader. [ErrNotFound] if there is none.
func (s *Sessions) Latest(ctx context.Context, key string) (*Session, error) {
	session := &Session{key: key}
	var err error
	if session.revision, err = s.latest(ctx, key, session); err != nil {
		return nil, err
	}
	return session, nil
}

// Save updates the session over the revision that it was read at. [ErrConflict] if it was changed since.
func (s *Sessions) Save(ctx context.Context, session *Session) error {
	revision, err := s.save(ctx, session.key, session, session.revision)
	if err == nil {
		session.revision = revision
	}
	return err
}
