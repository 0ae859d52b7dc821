package flow

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/oauth/token"
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

// SessionInput is the input of a connect session.
type SessionInput struct {
	events.Tenant
	Connectors []string // to choose from; none means all
	Account    string
	ReturnURL  string
}

// NewSession is a connect session that was created.
type NewSession struct {
	Token     string    `json:"token"`
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Sessions are connect sessions: links by which end users connect. Safe for concurrent
// use.
type Sessions struct {
	connections *connection.Service
	records     *records.Sessions
	links       *Links
	returns     returnURLs
	starter     *Starter
	credentials *ClientCredentials
	sites       *Sites
	opts        token.Options
}

// Create makes a link by which an end user's browser connects for a tenant: short-lived,
// for one connection, and for the first browser that submits its page.
func (s *Sessions) Create(ctx context.Context, in SessionInput) (*NewSession, error) {
	if err := s.connections.CheckTenant(in.Tenant); err != nil {
		return nil, err
	}
	for _, key := range in.Connectors {
		if _, err := s.connections.Connector(key); err != nil {
			return nil, err
		}
	}
	if err := s.returns.check(in.ReturnURL); err != nil {
		return nil, err
	}
	text, h := s.links.newHandle()
	expires := s.opts.Now().Add(records.SessionLife).UTC()
	err := s.records.Create(ctx, h.record(), &records.Session{
		Scope: in.Scope, Identity: in.Identity, Connectors: in.Connectors, Account: in.Account, ReturnURL: in.ReturnURL,
		ExpiresAt: expires, Status: SessionOpen,
	})
	if err != nil {
		return nil, err
	}
	return &NewSession{text, s.links.sessionURL(text), expires}, nil
}

// Get returns a session by its link's token. CONNECTOR_OAUTH_STATE_INVALID with the
// reason malformed or expired.
func (s *Sessions) Get(ctx context.Context, token string) (*records.Session, error) {
	h, ok := s.links.parseHandle(token)
	if !ok {
		return nil, stateInvalid(reasonMalformed)
	}
	session, err := s.records.Latest(ctx, h.record())
	if errors.Is(err, records.ErrNotFound) || err == nil && !s.opts.Now().Before(session.ExpiresAt) {
		return nil, stateInvalid(reasonExpired)
	}
	return session, err
}

// Check refuses every browser but the one that the session is bound to. Programs open links
// too, so a session is bound only when its page is submitted.
func (s *Sessions) Check(session *records.Session, cookie func(name string) string) error {
	if session.Browser != "" && !sameHash(session.Browser, cookieHash(cookie(s.links.cookie(session.Key(), session.ExpiresAt).Name))) {
		return stateInvalid(reasonWrongBrowser)
	}
	return nil
}

// Bind binds the session to the browser that submits its page first, and refuses every
// other. set is the cookie to set, without a name if the browser has it. cookie returns
// the browser's cookie of a name.
func (s *Sessions) Bind(ctx context.Context, session *records.Session, cookie func(name string) string) (set Cookie, err error) {
	if session.Browser != "" {
		return Cookie{}, s.Check(session, cookie)
	}
	c := s.links.cookie(session.Key(), session.ExpiresAt)
	c.Value = encoding.EncodeToString(random())
	session.Browser = cookieHash(c.Value)
	if err := s.records.Save(ctx, session); errors.Is(err, records.ErrConflict) {
		return Cookie{}, stateInvalid(reasonWrongBrowser)
	} else if err != nil {
		return Cookie{}, err
	}
	return c, nil
}

// Connectors returns the connectors from which the session's user may choose.
func (s *Sessions) Connectors(session *records.Session) []*connectors.Connector {
	all := s.connections.Connectors("")
	if len(session.Connectors) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(c *connectors.Connector) bool { return !slices.Contains(session.Connectors, c.Key) })
}

// Connect connects the chosen connector. It returns the URL of the authorisation, "" if
// the connection is made already, and that one's webhook URL, if it has one. A session makes one connection: the session is claimed
// first, by revision, and of the authorisations that a user starts in it only the last
// is accepted.
func (s *Sessions) Connect(ctx context.Context, session *records.Session, connector string, config []byte) (next, webhookURL string, err error) {
	if !slices.ContainsFunc(s.Connectors(session), func(c *connectors.Connector) bool { return c.Key == connector }) {
		return "", "", connectors.Errorf(connectors.CodeForbidden, "this link is not for %.64q", connector)
	}
	def, err := s.connections.Connector(connector)
	if err != nil {
		return "", "", err
	}
	// A second request while a connection is being made would report a failure.
	underWay := session.Status == SessionPending && session.Flow == "" && def.Auth.Kind != connectors.AuthOAuth2
	if session.Status == SessionConnected || session.Status == SessionSelecting || underWay {
		return "", "", stateInvalid(reasonReplayed)
	}
	session.Connector, session.Status, session.Code, session.Flow = connector, SessionPending, "", ""
	if err := s.claim(ctx, session); err != nil {
		return "", "", err
	}
	in := connection.ConnectInput{Config: config}
	if def.Auth.Kind == connectors.AuthOAuth2 {
		started, err := s.starter.Start(ctx, sessionRef(session), StartInput{ConnectInput: in, ReturnURL: session.ReturnURL, session: session.Key()})
		if err == nil {
			session.Flow = started.record
			return started.AuthorizationURL, "", s.claim(ctx, session)
		}
		return "", "", s.end(ctx, session, err)
	}
	var view *connection.View
	if def.Auth.OAuth2 != nil {
		view, err = s.credentials.Connect(ctx, sessionRef(session), in)
	} else {
		view, err = s.connections.Connect(ctx, sessionRef(session), in)
	}
	if err == nil {
		webhookURL = view.WebhookURL
	}
	return "", webhookURL, s.end(ctx, session, err)
}

const saveTimeout = 5 * time.Second

// end stores how a connection attempt ended, also after ctx ended, and returns its error.
func (s *Sessions) end(ctx context.Context, session *records.Session, err error) error {
	session.Status = SessionConnected
	if err != nil {
		session.Status, session.Code = SessionFailed, string(connectors.AsError(err).Code)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	if saveErr := s.records.Save(ctx, session); saveErr != nil {
		s.opts.Warn(saveErr)
	}
	return err
}

// claim stores the session, unless another request has changed it.
func (s *Sessions) claim(ctx context.Context, session *records.Session) error {
	err := s.records.Save(ctx, session)
	if errors.Is(err, records.ErrConflict) {
		return stateInvalid(reasonReplayed)
	}
	return err
}

// checkExpected refuses a flow that its session, if it has one, does not wait for.
func (s *Sessions) checkExpected(ctx context.Context, h handle, flow *records.Flow) *connectors.Error {
	if flow.Session == "" {
		return nil
	}
	session, err := s.records.Latest(ctx, flow.Session)
	switch {
	case errors.Is(err, records.ErrNotFound):
		return stateInvalid(reasonExpired)
	case err != nil:
		return connectors.AsError(err)
	case session.Status != SessionPending || session.Flow != h.record():
		return stateInvalid(reasonReplayed)
	}
	return nil
}

// Sites returns the sites from which the session's user has to choose.
func (s *Sessions) Sites(ctx context.Context, session *records.Session) ([]records.Resource, error) {
	c, err := s.connections.Latest(ctx, sessionRef(session))
	if err != nil {
		return nil, err
	}
	return c.Resources, nil
}

// Select finishes the session's connection with the chosen site.
func (s *Sessions) Select(ctx context.Context, session *records.Session, resourceID string) error {
	if session.Status != SessionSelecting {
		return stateInvalid(reasonReplayed)
	}
	if _, err := s.sites.Select(ctx, sessionRef(session), resourceID); err != nil {
		return err
	}
	session.Status = SessionConnected
	return s.records.Save(ctx, session)
}

func sessionRef(s *records.Session) records.Ref {
	return records.NewRef(events.Tenant{Scope: s.Scope, Identity: s.Identity}, s.Connector, s.Account)
}

// close stores in the session of a flow, if it has one, how the flow ended.
func (s *Sessions) close(ctx context.Context, flow *records.Flow, status string, failed *connectors.Error) {
	if flow.Session == "" {
		return
	}
	for range 4 {
		session, err := s.records.Latest(ctx, flow.Session)
		if err != nil {
			s.opts.Warn(err)
			return
		}
		session.Status, session.Code = status, ""
		if failed != nil {
			session.Code = string(failed.Code)
		}
		err = s.records.Save(ctx, session)
		if errors.Is(err, records.ErrConflict) {
			continue
		}
		if err != nil {
			s.opts.Warn(err)
		}
		return
	}
}
