package connection

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Service is the operations on connections. Every error has a code of
// [connectors.Error]. Every change is stored first and announced second. Safe
// for concurrent use, in any number of processes.
type Service struct {
	store       *Store
	definitions *Definitions
	scopes      Scopes
	bus         *events.Bus
	baseURL     string
	now         func() time.Time
	onError     func(error)
}

// ServiceOptions of a [Service].
type ServiceOptions struct {
	BaseURL string // public, with the base path, without a slash at the end
	Now     func() time.Time
	OnError func(error) // told of events that could not be announced
}

// NewService returns the service.
func NewService(store *Store, definitions *Definitions, scopes Scopes, bus *events.Bus, opts *ServiceOptions) *Service {
	if opts == nil {
		opts = &ServiceOptions{}
	}
	s := &Service{store: store, definitions: definitions, scopes: scopes, bus: bus,
		baseURL: strings.TrimSuffix(opts.BaseURL, "/"), now: opts.Now, onError: opts.OnError}
	if s.now == nil {
		s.now = time.Now
	}
	if s.onError == nil {
		s.onError = func(error) {}
	}
	return s
}

// ConnectInput is what connect takes.
type ConnectInput struct {
	Config  json.RawMessage
	Account string
	Tags    map[string]string
	Replace bool // an existing connection keeps its id, creation time and webhook URL
}

// Get returns one connection with its status.
func (s *Service) Get(ctx context.Context, r Ref) (*View, error) {
	if err := s.check(r); err != nil {
		return nil, err
	}
	c, err := s.store.latest(ctx, r)
	if err != nil {
		return nil, err
	}
	v := s.view(c, secret.Text{})
	v.Status, err = s.store.status(ctx, r)
	return v, err
}

// Connect checks the config, with the provider where the connector asks for it,
// and stores the connection.
func (s *Service) Connect(ctx context.Context, r Ref, in ConnectInput) (*View, error) {
	def, err := s.checkConnector(r)
	if err != nil {
		return nil, err
	}
	if def.Auth.Kind == connectors.AuthOAuth2 {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "no OAuth app is configured for %s", r.Connector)
	}
	config, err := validConfig(def, in.Config)
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	old, err := s.existing(ctx, r)
	if err != nil {
		return nil, err
	}
	if old != nil && !in.Replace {
		return nil, alreadyConnected(r)
	}
	now := s.now().UTC()
	c := &Connection{ID: events.NewID(), Scope: r.Scope, Identity: r.Identity, Connector: r.Connector, Account: r.Account,
		ConnectorVersion: def.Version, State: Active, Tags: in.Tags, CreatedAt: now, UpdatedAt: now}
	if old != nil {
		c.ID, c.CreatedAt, c.Webhook, c.revision = old.ID, old.CreatedAt, old.Webhook, old.revision
		if c.Tags == nil {
			c.Tags = old.Tags
		}
	}
	return s.save(ctx, def, c, config)
}

// save validates with the provider, gives the connection its webhook URL, and
// stores it: created if it has no revision, else over that revision.
func (s *Service) save(ctx context.Context, def *connectors.Connector, c *Connection, config json.RawMessage) (*View, error) {
	r := c.Ref()
	url, err := s.openURL(c)
	if err != nil {
		return nil, err
	}
	isNewURL := def.Webhook != nil && c.Webhook == nil
	if isNewURL {
		url = newWebhookSecret()
		c.Webhook = &WebhookURL{Hash: hashWebhookSecret(url)}
	}
	if account := providerAccount(def, config); account != "" {
		c.ProviderAccount = account
	}
	sealed, err := s.store.seal(c, config, def.Config.SecretPaths(), url)
	if err != nil {
		return nil, err
	}
	if err := s.validate(ctx, def, sealed); err != nil {
		return nil, err
	}
	if isNewURL {
		if err := s.store.addURL(ctx, r, url); err != nil {
			return nil, err
		}
	}
	if err := s.store.write(ctx, c, sealed); err != nil {
		if isNewURL {
			_ = s.store.buckets.Webhooks.Delete(ctx, c.Webhook.Hash, 0)
		}
		if errors.Is(err, kvstore.ErrExists) || errors.Is(err, kvstore.ErrConflict) {
			return nil, alreadyConnected(r)
		}
		return nil, databaseError("store the connection", err)
	}
	s.announce(ctx, events.ConnectorConnected, c, events.Data{})
	return s.view(c, url), nil
}

// write creates or updates a sealed record.
func (s *Store) write(ctx context.Context, c *Connection, sealed []byte) (err error) {
	if err := s.addRoute(ctx, c); err != nil {
		return err
	}
	if c.revision == 0 {
		c.revision, err = s.buckets.Connections.Create(ctx, c.Ref().Key(), sealed, 0)
	} else {
		c.revision, err = s.buckets.Connections.Update(ctx, c.Ref().Key(), sealed, c.revision)
	}
	return err
}

// openURL returns the secret of the connection's URL, if it has one.
func (s *Service) openURL(c *Connection) (secret.Text, error) {
	if c.Webhook == nil {
		return secret.Text{}, nil
	}
	plain, err := s.store.keys.Open(c.Webhook.Secret, s.store.binding(bucketConnections, c.Ref().Key()), pointerWebhookSecret)
	if err != nil {
		return secret.Text{}, decryptError(c, err)
	}
	var url secret.Text
	if err := json.Unmarshal(plain, &url); err != nil {
		return secret.Text{}, decryptError(c, err)
	}
	return url, nil
}

func (s *Service) existing(ctx context.Context, r Ref) (*Connection, error) {
	c, err := s.store.latest(ctx, r)
	if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorNotConnected}) {
		return nil, nil
	}
	return c, err
}

// Disconnect removes the connection and its webhook URL.
func (s *Service) Disconnect(ctx context.Context, r Ref) error {
	if err := s.check(r); err != nil {
		return err
	}
	for range raceTries {
		c, err := s.store.latest(ctx, r)
		if err != nil {
			return err
		}
		err = s.store.buckets.Connections.Delete(ctx, r.Key(), c.revision)
		if errors.Is(err, kvstore.ErrConflict) {
			continue
		}
		if err != nil {
			return s.store.readError(err, r)
		}
		s.store.removeURLs(ctx, c.Webhook)
		s.store.removeRoute(ctx, c)
		_ = s.store.buckets.Status.Delete(ctx, r.Key(), 0) // health without a connection harms nobody
		s.announce(ctx, events.ConnectorDisconnected, c, events.Data{})
		return nil
	}
	return databaseError("disconnect", kvstore.ErrConflict)
}

// announce publishes a lifecycle event about what is stored. The change stands
// whether or not the event gets out, so a failure is reported, not returned.
func (s *Service) announce(ctx context.Context, kind events.Kind, c *Connection, data events.Data) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	e := events.NewLifecycle("ingress", kind, c.About(), data)
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
	if len(r.Account) > maxAccount {
		return connectors.Errorf(connectors.CodeConnectorScopeInvalid, "the account has %d bytes, and %d are the most", len(r.Account), maxAccount)
	}
	return s.scopes.Check(r.Tenant)
}

func (s *Service) checkConnector(r Ref) (*connectors.Connector, error) {
	if err := s.check(r); err != nil {
		return nil, err
	}
	return s.definitions.Get(r.Connector)
}

func alreadyConnected(r Ref) error {
	return connectors.Errorf(connectors.CodeConnectorAlreadyConnected,
		"%s is already connected to %s; replace it with ?replace=true, or name another account", tenantText(r), r.Connector)
}

// validConfig checks a config against the connector's schema and fills defaults in.
func validConfig(def *connectors.Connector, config json.RawMessage) (json.RawMessage, error) {
	if len(config) == 0 {
		config = json.RawMessage(`{}`)
	}
	normalised, problems := def.Config.Validate(config)
	if len(problems) > 0 {
		e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the config does not fit %s", def.Key)
		e.Errors = problems
		return nil, e
	}
	return normalised, nil
}

const (
	maxTags     = 32
	maxTagBytes = 256
)

func checkTags(tags map[string]string) error {
	e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the tags cannot be stored")
	if len(tags) > maxTags {
		e.Errors = append(e.Errors, connectors.FieldError{Path: "tags", Message: "at most 32 tags"})
	}
	for name, value := range tags {
		if name == "" || len(name)+len(value) > maxTagBytes {
			e.Errors = append(e.Errors, connectors.FieldError{Path: "tags", Message: "a tag needs a name, and at most 256 bytes with its value"})
			break
		}
	}
	if len(e.Errors) > 0 {
		return e
	}
	return nil
}
