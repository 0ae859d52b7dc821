package connection

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hawser-io/hawser/internal/records"
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
	store       *records.Connections
	definitions *records.Definitions
	scopes      Scopes
	bus         *events.Bus
	role        string
	baseURL     string
	now         func() time.Time
	onError     func(error)
	grants      *records.Grants
	checkSecret func(*webhooks.Descriptor, secret.Text) error
}

// ServiceOptions of a [Service].
type ServiceOptions struct {
	Role    string // the source of the events, default "ingress"
	BaseURL string // public, with the base path, without a slash at the end
	Now     func() time.Time
	OnError func(error)     // told of events that could not be announced
	Grants  *records.Grants // shown with the connections that have one; optional
	// CheckSecret says what keeps a text from being a secret of the webhook; nil
	// takes every text.
	CheckSecret func(*webhooks.Descriptor, secret.Text) error
}

// NewService returns the service.
func NewService(store *records.Connections, definitions *records.Definitions, scopes Scopes, bus *events.Bus, opts *ServiceOptions) *Service {
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
func (s *Service) Get(ctx context.Context, r records.Ref) (*View, error) {
	if err := s.check(r); err != nil {
		return nil, err
	}
	c, err := s.store.Latest(ctx, r)
	if err != nil {
		return nil, s.absent(err, r)
	}
	v := s.view(c, secret.Text{})
	s.addGrant(ctx, v, c)
	v.Status, err = s.store.Status(ctx, r)
	return v, err
}

// Disconnect removes the connection with its webhook URLs and its status, also if its secrets cannot be opened
// or its connector is not registered, and returns what was removed. The caller removes the reference to its grant.
// If the process ends in between, the index entries that remain match nothing, and the event is missing.
func (s *Service) Disconnect(ctx context.Context, r records.Ref) (*records.Connection, error) {
	if err := s.check(r); err != nil {
		return nil, err
	}
	for range kvstore.Attempts(ctx) {
		c, err := s.store.LatestOrUnreadable(ctx, r)
		if err != nil {
			return nil, s.absent(err, r)
		}
		err = s.store.Delete(ctx, c)
		if errors.Is(err, records.ErrConflict) {
			continue
		}
		if err != nil {
			return nil, s.absent(err, r)
		}
		s.announce(ctx, events.ConnectorDisconnected, c, events.Data{})
		return c, nil
	}
	return nil, records.DatabaseError("disconnect", records.ErrConflict)
}

const announceTimeout = 5 * time.Second

// announce publishes a lifecycle event about what is stored. The change stands
// whether or not the event gets out, so a failure is reported, not returned.
func (s *Service) announce(ctx context.Context, kind events.Kind, c *records.Connection, data events.Data) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceTimeout)
	defer cancel()
	data.Actor = Actor(ctx)
	e := events.NewLifecycle(s.role, kind, c.About(), data)
	subject := s.bus.Subjects.Event(c.Ref().Tenant, c.Connector, kind)
	var err error
	for range 3 {
		if _, err = s.bus.Publish(ctx, subject, e, &events.PublishOptions{MsgID: e.ID()}); err == nil {
			return
		}
	}
	s.onError(err)
}

func (s *Service) check(r records.Ref) error {
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

func (s *Service) checkConnector(r records.Ref) (*connectors.Connector, error) {
	if err := s.check(r); err != nil {
		return nil, err
	}
	return s.definitions.Get(r.Connector)
}

// absent turns CONNECTOR_NOT_CONNECTED into CONNECTOR_NOT_FOUND where there is not
// even such a connector.
func (s *Service) absent(err error, r records.Ref) error {
	if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorNotConnected}) {
		if _, unknown := s.definitions.Get(r.Connector); unknown != nil {
			return unknown
		}
	}
	return err
}
