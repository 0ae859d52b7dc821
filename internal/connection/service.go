package connection

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Service is the operations on connections. Every error has a code of
// [connectors.Error]. Every change is stored first and announced second. Safe
// for concurrent use, in any number of processes.
type Service struct {
	store       *Connections
	definitions *Definitions
	scopes      Scopes
	bus         *events.Bus
	role        string
	baseURL     string
	now         func() time.Time
	onError     func(error)
	grants      *Grants
	checkSecret func(*webhooks.Descriptor, secret.Text) error
}

// ServiceOptions of a [Service].
type ServiceOptions struct {
	Role    string // the source of the events, default "ingress"
	BaseURL string // public, with the base path, without a slash at the end
	Now     func() time.Time
	OnError func(error) // told of events that could not be announced
	Grants  *Grants     // shown with the connections that have one; optional
	// CheckSecret says what keeps a text from being a secret of the webhook; nil
	// takes every text.
	CheckSecret func(*webhooks.Descriptor, secret.Text) error
}

// NewService returns the service.
func NewService(store *Connections, definitions *Definitions, scopes Scopes, bus *events.Bus, opts *ServiceOptions) *Service {
	if opts == nil {
		opts = &ServiceOptions{}
	}
	s := &Service{store: store, definitions: definitions, scopes: scopes, bus: bus, role: cmp.Or(opts.Role, "ingress"),
		baseURL: strings.TrimSuffix(opts.BaseURL, "/"), now: opts.Now, onError: opts.OnError, grants: opts.Grants, checkSecret: opts.CheckSecret}
	if s.now == nil {
		s.now = time.Now
	}
	if s.onError == nil {
		s.onError = func(error) {}
	}
	return s
}

// Get returns one connection with its status.
func (s *Service) Get(ctx context.Context, r Ref) (*View, error) {
	if err := s.check(r); err != nil {
		return nil, err
	}
	c, err := s.store.latest(ctx, r)
	if err != nil {
		return nil, s.absent(err, r)
	}
	v := s.view(c, secret.Text{})
	s.addGrant(ctx, v, c)
	v.Status, err = s.store.status(ctx, r)
	return v, err
}

// Disconnect removes the connection, its webhook URLs and its health, also where
// its secrets cannot be opened any more or its connector is gone, and returns what
// was removed. Whoever keeps grants looks after the connection's. If the process
// ends in between, what is left behind in the index and in the health matches
// nothing; only the announcement is lost.
func (s *Service) Disconnect(ctx context.Context, r Ref) (*Connection, error) {
	if err := s.check(r); err != nil {
		return nil, err
	}
	for range attempts(ctx) {
		c, err := s.store.latest(ctx, r)
		if c == nil {
			return nil, s.absent(err, r)
		}
		err = s.store.buckets.Connections.Delete(ctx, r.Key(), c.revision)
		if errors.Is(err, kvstore.ErrConflict) {
			continue
		}
		if err != nil {
			return nil, s.absent(s.store.readError(err, r), r)
		}
		s.store.removeURLs(ctx, c.Webhook.hashes()...)
		s.store.removeRoute(ctx, c, c.ProviderAccount)
		s.store.removeStatus(ctx, r)
		s.announce(ctx, events.ConnectorDisconnected, c, events.Data{})
		return c, nil
	}
	return nil, databaseError("disconnect", kvstore.ErrConflict)
}

const (
	announceTimeout = 5 * time.Second
	// cleanupTimeout bounds work that may fail without harm.
	cleanupTimeout = 2 * time.Second
)

// announce publishes a lifecycle event about what is stored. The change stands
// whether or not the event gets out, so a failure is reported, not returned.
func (s *Service) announce(ctx context.Context, kind events.Kind, c *Connection, data events.Data) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceTimeout)
	defer cancel()
	data.Actor = Actor(ctx)
	e := events.NewLifecycle(s.role, kind, c.About(), data)
	subject := s.bus.Event(c.Ref().Tenant, c.Connector, kind)
	var err error
	for range 3 {
		if _, err = s.bus.Publish(ctx, subject, e, &events.PublishOptions{MsgID: e.ID()}); err == nil {
			return
		}
	}
	s.onError(err)
}

func (s *Service) check(r Ref) error {
	if err := s.scopes.Check(r.Tenant); err != nil {
		return err
	}
	problem := AccountProblem(r.Account)
	if problem == "" {
		return nil
	}
	e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the account cannot be used")
	e.Errors = []schema.FieldError{{Path: "account", Message: problem}}
	return e
}

// AccountProblem says what is wrong with the name of an account, "" if nothing is.
func AccountProblem(account string) string {
	switch {
	case len(account) > maxAccount:
		return "is longer than 128 bytes"
	case !utf8.ValidString(account):
		return "is not UTF-8"
	}
	return ""
}

func (s *Service) checkConnector(r Ref) (*connectors.Connector, error) {
	if err := s.check(r); err != nil {
		return nil, err
	}
	return s.definitions.Get(r.Connector)
}

// absent turns CONNECTOR_NOT_CONNECTED into CONNECTOR_NOT_FOUND where there is not
// even such a connector.
func (s *Service) absent(err error, r Ref) error {
	if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorNotConnected}) {
		if _, unknown := s.definitions.Get(r.Connector); unknown != nil {
			return unknown
		}
	}
	return err
}

// Lost races are repeated up to raceTries times, after random pauses that double
// from racePause to longestRacePause, so that a crowd disperses.
const (
	raceTries        = 64
	racePause        = time.Millisecond
	longestRacePause = 64 * time.Millisecond
)

// attempts yields once for every time that a change may be tried, and pauses in
// between; it ends early with ctx.
func attempts(ctx context.Context) iter.Seq[int] {
	return func(yield func(int) bool) {
		wait := racePause
		for n := range raceTries {
			if ctx.Err() != nil && n > 0 || !yield(n) {
				return
			}
			pause(ctx, rand.N(wait))
			wait = min(2*wait, longestRacePause)
		}
	}
}
