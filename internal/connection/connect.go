package connection

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

// ConnectInput is what connect takes.
type ConnectInput struct {
	Config  json.RawMessage
	Tags    map[string]string
	Replace bool // an existing connection keeps its id, creation time and webhook URL
}

// Connect checks the config, with the provider where the connector asks for it,
// and stores the connection. It is CONNECTOR_ALREADY_CONNECTED if there is one,
// unless it is to be replaced: then the new config stands alone, the connection is
// active whatever it was, and tags stay if none are given.
func (s *Service) Connect(ctx context.Context, r Ref, in ConnectInput) (*View, error) {
	def, err := s.checkConnector(r)
	if err != nil {
		return nil, err
	}
	if def.Auth.OAuth2 != nil {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s is connected by OAuth, which this program does not offer", r.Connector)
	}
	config, err := s.validConfig(def, in.Config)
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	for range attempts(ctx) {
		old, err := s.existing(ctx, r)
		if err != nil {
			return nil, err
		}
		if old != nil && !in.Replace {
			return nil, alreadyConnected(r)
		}
		c := s.newConnection(r, def, in.Tags, old)
		v, err := s.save(ctx, def, c, config)
		if in.Replace && errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorAlreadyConnected}) {
			continue // it has changed, come or gone meanwhile
		}
		if err == nil {
			s.announce(ctx, events.ConnectorConnected, c, events.Data{})
		}
		return v, err
	}
	return nil, databaseError("replace the connection", kvstore.ErrConflict)
}

// newConnection is the record of a connection that takes the place of old, if
// there is one.
func (s *Service) newConnection(r Ref, def *connectors.Connector, tags map[string]string, old *Connection) *Connection {
	now := s.now().UTC()
	c := &Connection{ID: events.NewID(), Scope: r.Scope, Identity: r.Identity, Connector: r.Connector, Account: r.Account,
		ConnectorVersion: def.Version, State: Active, Tags: tags, CreatedAt: now, UpdatedAt: now}
	if old == nil {
		return c
	}
	c.revision = old.revision
	if old.fault != nil {
		return c
	}
	c.ID, c.CreatedAt, c.Webhook = old.ID, old.CreatedAt, old.Webhook
	if c.Tags == nil {
		c.Tags = old.Tags
	}
	return c
}

// existing returns the record, or nil if there is none. One that cannot be read is
// returned as its key tells: it can be replaced.
func (s *Service) existing(ctx context.Context, r Ref) (*Connection, error) {
	c, err := s.store.latest(ctx, r)
	if c != nil || errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorNotConnected}) {
		return c, nil
	}
	return nil, err
}

// save validates with the provider, gives the connection its webhook URL, and
// stores it: created if it has no revision, else over that revision. It is
// CONNECTOR_ALREADY_CONNECTED if another was faster. The URL goes into the index
// first: an entry without its record matches nothing. The caller announces.
func (s *Service) save(ctx context.Context, def *connectors.Connector, c *Connection, config json.RawMessage) (*View, error) {
	r, isNew := c.Ref(), c.revision == 0
	before, wasOf := c.Webhook.hashes(), c.ProviderAccount
	url := s.urlOf(def, c)
	if account := providerAccount(def, config); account != "" {
		c.ProviderAccount = account
	}
	sealed, err := s.store.seal(draft{Connection: c, definition: def, config: config, url: url})
	if err != nil {
		return nil, err
	}
	if err := s.validate(ctx, def, sealed); err != nil {
		return nil, err
	}
	if !url.IsZero() {
		// Also for a URL that stays: a replacement heals what a lost index broke.
		if err := s.store.addURL(ctx, r, c.Webhook.Hash); err != nil {
			return nil, err
		}
	}
	if err := s.store.write(ctx, c, sealed); err != nil {
		s.takeBack(ctx, err, c.Webhook, before)
		if errors.Is(err, kvstore.ErrExists) || errors.Is(err, kvstore.ErrConflict) {
			return nil, alreadyConnected(r)
		}
		return nil, databaseError("store the connection", err)
	}
	s.store.removeURLs(ctx, without(before, c.Webhook.hashes())...)
	if wasOf != c.ProviderAccount {
		s.store.removeRoute(ctx, c, wasOf)
	}
	if isNew {
		s.store.removeStatus(ctx, r) // of a connection that was here before
	}
	return s.view(c, url), nil
}

// urlOf returns the secret of the connection's URL, and gives it one if it has to
// have one. A URL whose secret cannot be opened any more cannot be told to anybody:
// it gets a successor.
func (s *Service) urlOf(def *connectors.Connector, c *Connection) secret.Text {
	if def.Webhook == nil {
		return secret.Text{}
	}
	if c.Webhook != nil {
		if url, err := s.store.openURL(c); err == nil {
			return url
		}
	}
	url := newWebhookSecret()
	c.Webhook = c.Webhook.successor(url, s.now().UTC())
	return url
}

// takeBack removes a new URL from the index after a write that certainly did not
// happen. One whose outcome is unknown may have stored the record, whose URL would
// be dead: then an entry too many is the lesser harm.
func (s *Service) takeBack(ctx context.Context, failure error, w *WebhookURL, before []string) {
	if errors.Is(failure, kvstore.ErrUnavailable) {
		return
	}
	s.store.removeURLs(ctx, without(w.hashes(), before)...)
}

func alreadyConnected(r Ref) error {
	return connectors.Errorf(connectors.CodeConnectorAlreadyConnected,
		"%s is already connected to %s; replace it with ?replace=true, or name another account", tenantText(r), r.Connector)
}

// validConfig checks a config against the connector's schema, and its webhook
// secret against the webhook, and fills defaults in.
func (s *Service) validConfig(def *connectors.Connector, config json.RawMessage) (json.RawMessage, error) {
	if len(config) == 0 {
		config = json.RawMessage(`{}`)
	}
	normalised, problems := def.Config.Validate(config)
	if len(problems) > 0 {
		e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the config does not fit %s", def.Key)
		e.Errors = problems
		return nil, e
	}
	if err := s.checkSigning(def, normalised); err != nil {
		return nil, err
	}
	return normalised, nil
}

const (
	maxTags     = 32
	maxTagBytes = 256
)

func checkTags(tags map[string]string) error {
	problem := ""
	if len(tags) > maxTags {
		problem = "are more than 32"
	}
	for name, value := range tags {
		if name == "" || len(name)+len(value) > maxTagBytes {
			problem = "need a name each, and have at most 256 bytes each with it"
		}
	}
	if problem == "" {
		return nil
	}
	e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the tags cannot be stored")
	e.Errors = []schema.FieldError{{Path: "tags", Message: problem}}
	return e
}
