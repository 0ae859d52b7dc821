package oauth

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Statuses of a connect session.
const (
	SessionOpen      = "open"
	SessionPending   = "pending" // at the provider
	SessionSelecting = "selecting"
	SessionConnected = "connected"
	SessionFailed    = "failed"
)

// SessionInput is what a connect session is made of.
type SessionInput struct {
	events.Tenant
	Connectors []string // to choose from; none: all
	Account    string
	ReturnURL  string
}

// NewSession is the answer to making one.
type NewSession struct {
	Token     string    `json:"token"`
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expires_at"`
}

// CreateSession makes a link with which an end user's browser connects for a
// tenant: short-lived, for one connection, and for the first browser that opens it.
func (f *Flow) CreateSession(ctx context.Context, in SessionInput) (*NewSession, error) {
	if err := f.Service.CheckTenant(in.Tenant); err != nil {
		return nil, err
	}
	for _, key := range in.Connectors {
		if _, err := f.Service.Connector(key); err != nil {
			return nil, err
		}
	}
	if err := f.checkReturn(in.ReturnURL); err != nil {
		return nil, err
	}
	text, h := newHandle(f.Key)
	expires := f.opts.Now().Add(records.SessionLife).UTC()
	err := f.sessions.Create(ctx, h.record(), &records.Session{
		Scope: in.Scope, Identity: in.Identity, Connectors: in.Connectors, Account: in.Account, ReturnURL: in.ReturnURL,
		ExpiresAt: expires, Status: SessionOpen,
	})
	if err != nil {
		return nil, err
	}
	return &NewSession{text, f.origin() + "/connect/" + text, expires}, nil
}

// origin is the base URL without its path.
func (f *Flow) origin() string {
	scheme, rest, _ := strings.Cut(f.opts.BaseURL, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host
}

// Session finds a session by its link's token. CONNECTOR_OAUTH_STATE_INVALID with
// the reason malformed or expired.
func (f *Flow) Session(ctx context.Context, token string) (*records.Session, error) {
	h, ok := parseHandle(f.Key, token)
	if !ok {
		return nil, stateInvalid(reasonMalformed)
	}
	s, err := f.sessions.Latest(ctx, h.record())
	if errors.Is(err, records.ErrNotFound) || err == nil && !f.opts.Now().Before(s.ExpiresAt) {
		return nil, stateInvalid(reasonExpired)
	}
	return s, err
}

// Enter is a browser opening the link. The first one keeps it: set is the cookie to
// give it, with an empty name if it has it.
func (f *Flow) Enter(ctx context.Context, s *records.Session, cookie func(name string) string) (set Cookie, err error) {
	secure := strings.HasPrefix(f.opts.BaseURL, "https://")
	c := Cookie{Name: cookieName(secure, s.Key()), Secure: secure, MaxAge: s.ExpiresAt.Sub(f.opts.Now())}
	if s.Browser == "" {
		c.Value = encoding.EncodeToString(random())
		s.Browser = cookieHash(c.Value)
		if err := f.sessions.Save(ctx, s); errors.Is(err, records.ErrConflict) {
			return Cookie{}, stateInvalid(reasonWrongBrowser)
		} else if err != nil {
			return Cookie{}, err
		}
		return c, nil
	}
	if !sameHash(s.Browser, cookieHash(cookie(c.Name))) {
		return Cookie{}, stateInvalid(reasonWrongBrowser)
	}
	return Cookie{}, nil
}

// Offers are the connectors that a session lets its user choose from.
func (f *Flow) Offers(s *records.Session) []*connectors.Connector {
	all := f.Service.Connectors("")
	if len(s.Connectors) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(c *connectors.Connector) bool { return !slices.Contains(s.Connectors, c.Key) })
}

// SessionConnect connects what the user chose. It returns where to go on, "" if the
// connection is made already. Each session makes one connection: it is claimed
// before, by revision, and of the authorisations that a user begins in it only the
// last is taken.
func (f *Flow) SessionConnect(ctx context.Context, s *records.Session, connector string, config []byte) (next string, err error) {
	if !slices.ContainsFunc(f.Offers(s), func(c *connectors.Connector) bool { return c.Key == connector }) {
		return "", connectors.Errorf(connectors.CodeForbidden, "this link is not for %.64q", connector)
	}
	ref := records.NewRef(events.Tenant{Scope: s.Scope, Identity: s.Identity}, connector, s.Account)
	in := connection.ConnectInput{Config: config}
	def, err := f.Service.Connector(connector)
	if err != nil {
		return "", err
	}
	// Who asks again while a connection is being made would be told that it failed.
	underWay := s.Status == SessionPending && s.Flow == "" && def.Auth.Kind != connectors.AuthOAuth2
	if s.Status == SessionConnected || s.Status == SessionSelecting || underWay {
		return "", stateInvalid(reasonReplayed)
	}
	s.Connector, s.Status, s.Code, s.Flow = connector, SessionPending, "", ""
	if err := f.claim(ctx, s); err != nil {
		return "", err
	}
	switch {
	case def.Auth.Kind == connectors.AuthOAuth2:
		var started *Started
		if started, err = f.Start(ctx, ref, StartInput{ConnectInput: in, ReturnURL: s.ReturnURL, session: s.Key()}); err == nil {
			s.Flow = started.record
			return started.AuthorizationURL, f.claim(ctx, s)
		}
	case def.Auth.OAuth2 != nil:
		_, err = f.Connect(ctx, ref, in)
	default:
		_, err = f.Service.Connect(ctx, ref, in)
	}
	s.Status = SessionConnected
	if err != nil {
		s.Status, s.Code = SessionFailed, string(connectors.AsError(err).Code)
	}
	// What became of it is told also if the user has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sessionPatience)
	defer cancel()
	if saveErr := f.sessions.Save(ctx, s); saveErr != nil {
		f.problem(saveErr)
	}
	return "", err
}

const sessionPatience = 5 * time.Second

// claim stores the session, unless somebody else has changed it.
func (f *Flow) claim(ctx context.Context, s *records.Session) error {
	err := f.sessions.Save(ctx, s)
	if errors.Is(err, records.ErrConflict) {
		return stateInvalid(reasonReplayed)
	}
	return err
}

// awaited refuses a flow that its session, if it has one, does not wait for.
func (f *Flow) awaited(ctx context.Context, h handle, flow *records.Flow) *connectors.Error {
	if flow.Session == "" {
		return nil
	}
	s, err := f.sessions.Latest(ctx, flow.Session)
	switch {
	case errors.Is(err, records.ErrNotFound):
		return stateInvalid(reasonExpired)
	case err != nil:
		return connectors.AsError(err)
	case s.Status != SessionPending || s.Flow != h.record():
		return stateInvalid(reasonReplayed)
	}
	return nil
}

// SessionSites are the sites that a session's user has to choose from.
func (f *Flow) SessionSites(ctx context.Context, s *records.Session) ([]records.Resource, error) {
	c, err := f.Service.Latest(ctx, f.sessionRef(s))
	if err != nil {
		return nil, err
	}
	return c.Resources, nil
}

// SessionSelect is the user's choice of a site.
func (f *Flow) SessionSelect(ctx context.Context, s *records.Session, resourceID string) error {
	if s.Status != SessionSelecting {
		return stateInvalid(reasonReplayed)
	}
	if _, err := f.Select(ctx, f.sessionRef(s), resourceID); err != nil {
		return err
	}
	s.Status = SessionConnected
	return f.sessions.Save(ctx, s)
}

func (f *Flow) sessionRef(s *records.Session) records.Ref {
	return records.NewRef(events.Tenant{Scope: s.Scope, Identity: s.Identity}, s.Connector, s.Account)
}

// closeSession tells the connect session of a flow how it ended.
func (f *Flow) closeSession(ctx context.Context, flow *records.Flow, status string, failed *connectors.Error) {
	if flow.Session == "" {
		return
	}
	for range 4 {
		s, err := f.sessions.Latest(ctx, flow.Session)
		if err != nil {
			f.problem(err)
			return
		}
		s.Status, s.Code = status, ""
		if failed != nil {
			s.Code = string(failed.Code)
		}
		err = f.sessions.Save(ctx, s)
		if errors.Is(err, records.ErrConflict) {
			continue
		}
		if err != nil {
			f.problem(err)
		}
		return
	}
}
