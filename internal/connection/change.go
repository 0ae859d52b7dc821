package connection

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

// raceTries bounds how often a change that lost a race is tried again.
const raceTries = 16

// UpdateInput is what update takes; what is absent stays.
type UpdateInput struct {
	Enabled *bool
	// Config is merged into the config (RFC 7396): members replace, null removes.
	Config json.RawMessage
	// Tags replace all tags; an empty map removes them.
	Tags map[string]string
}

// Update changes a connection.
func (s *Service) Update(ctx context.Context, r Ref, in UpdateInput) (*View, error) {
	def, err := s.checkConnector(r)
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	return s.change(ctx, r, func(c *Connection) ([]events.Kind, error) {
		var kinds []events.Kind
		if in.Enabled != nil && *in.Enabled != c.Enabled() {
			kind, err := switchTo(c, *in.Enabled)
			if err != nil {
				return nil, err
			}
			kinds = append(kinds, kind)
		}
		if in.Config == nil && in.Tags == nil {
			return kinds, nil
		}
		if in.Tags != nil {
			c.Tags = in.Tags
		}
		if in.Config != nil {
			if err := s.mergeConfig(ctx, def, c, in.Config); err != nil {
				return nil, err
			}
		}
		return append(kinds, events.ConnectorUpdated), nil
	})
}

// Toggle flips a connection between enabled and disabled. Two toggles at once
// are two flips.
func (s *Service) Toggle(ctx context.Context, r Ref) (*View, error) {
	if err := s.check(r); err != nil {
		return nil, err
	}
	return s.change(ctx, r, func(c *Connection) ([]events.Kind, error) {
		kind, err := switchTo(c, !c.Enabled())
		return []events.Kind{kind}, err
	})
}

func switchTo(c *Connection, enabled bool) (events.Kind, error) {
	next, kind := Disabled, events.ConnectorDisabled
	if enabled {
		next, kind = Active, events.ConnectorEnabled
	}
	if err := c.become(next); err != nil {
		return "", connectors.Errorf(connectors.CodeConnectorNotConnected, "the connection is %s and can be neither enabled nor disabled", c.State)
	}
	return kind, nil
}

// RotateWebhook gives the connection a new webhook URL; the old one is honoured
// for [URLGrace].
func (s *Service) RotateWebhook(ctx context.Context, r Ref) (*View, error) {
	def, err := s.checkConnector(r)
	if err != nil {
		return nil, err
	}
	if def.Webhook == nil {
		return nil, connectors.Errorf(connectors.CodeConnectorWebhookNotConfigured, "%s has no webhook", r.Connector)
	}
	url := newWebhookSecret()
	if err := s.store.addURL(ctx, r, url); err != nil {
		return nil, err
	}
	staleHash := ""
	v, err := s.change(ctx, r, func(c *Connection) ([]events.Kind, error) {
		next := &WebhookURL{Hash: hashWebhookSecret(url)}
		if c.Webhook != nil {
			next.Previous = &PreviousURL{c.Webhook.Hash, s.now().UTC().Add(URLGrace)}
			if c.Webhook.Previous != nil {
				staleHash = c.Webhook.Previous.Hash
			}
		}
		c.Webhook = next
		next.Secret = url.Reveal() // sealed by change
		return []events.Kind{events.ConnectorUpdated}, nil
	})
	if err != nil {
		_ = s.store.buckets.Webhooks.Delete(ctx, hashWebhookSecret(url), 0)
		return nil, err
	}
	if staleHash != "" {
		_ = s.store.buckets.Webhooks.Delete(ctx, staleHash, 0)
	}
	v.WebhookURL = s.WebhookURL(r.Connector, url.Reveal())
	return v, nil
}

// change opens the newest record, lets alter change it, seals and stores it by
// revision, and announces what alter says has happened. alter may run again
// after a lost race. With nothing to announce nothing is stored.
func (s *Service) change(ctx context.Context, r Ref, alter func(*Connection) ([]events.Kind, error)) (*View, error) {
	for range raceTries {
		stored, err := s.store.latest(ctx, r)
		if err != nil {
			return nil, err
		}
		c, err := s.store.opened(stored)
		if err != nil {
			return nil, err
		}
		kinds, err := alter(c)
		if err != nil {
			return nil, err
		}
		if len(kinds) == 0 {
			return s.view(stored, secret.Text{}), nil
		}
		c.UpdatedAt = s.now().UTC()
		sealed, err := s.reseal(c)
		if err != nil {
			return nil, err
		}
		err = s.store.write(ctx, c, sealed)
		if errors.Is(err, kvstore.ErrConflict) {
			continue
		}
		if err != nil {
			return nil, databaseError("store the connection", err)
		}
		for _, kind := range kinds {
			s.announce(ctx, kind, c, events.Data{})
		}
		return s.view(c, secret.Text{}), nil
	}
	return nil, databaseError("change the connection", kvstore.ErrConflict)
}

// reseal seals an opened record, with the places that the connector marks now
// and those that were sealed before.
func (s *Service) reseal(c *Connection) ([]byte, error) {
	paths := configPointers(c.Sealed)
	if def, err := s.definitions.Get(c.Connector); err == nil {
		paths = def.Config.SecretPaths()
	}
	var url secret.Text
	if c.Webhook != nil {
		url = secret.New(c.Webhook.Secret)
	}
	return s.store.seal(c, c.Config, paths, url)
}

// mergeConfig lays a merge patch over an opened record's config, checks the
// whole, and asks the provider about it.
func (s *Service) mergeConfig(ctx context.Context, def *connectors.Connector, c *Connection, patch json.RawMessage) error {
	merged, err := mergePatch(c.Config, patch)
	if err != nil {
		e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "config must be a JSON object")
		e.Errors = []connectors.FieldError{{Path: "config", Message: "must be an object"}}
		return e
	}
	config, err := validConfig(def, merged)
	if err != nil {
		return err
	}
	account := providerAccount(def, config)
	candidate := *c
	candidate.Config = config
	sealed, err := s.reseal(&candidate)
	if err != nil {
		return err
	}
	if err := s.validate(ctx, def, sealed); err != nil {
		return err
	}
	c.Config, c.ConnectorVersion = config, def.Version
	if account != "" {
		c.ProviderAccount = account
	}
	return nil
}

// mergePatch is RFC 7396 for objects.
func mergePatch(target, patch json.RawMessage) (json.RawMessage, error) {
	var into, from map[string]json.RawMessage
	if err := json.Unmarshal(patch, &from); err != nil || from == nil {
		return nil, errors.New("the patch is not an object")
	}
	if json.Unmarshal(target, &into) != nil || into == nil {
		into = map[string]json.RawMessage{}
	}
	for name, value := range from {
		if string(value) == "null" {
			delete(into, name)
			continue
		}
		if merged, err := mergePatch(into[name], value); err == nil {
			value = merged
		}
		into[name] = value
	}
	return json.Marshal(into)
}
