package connection

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

// UpdateInput is what update takes; what is absent stays.
type UpdateInput struct {
	Enabled *bool
	// Config is merged into the config (RFC 7396): members replace, null removes. A
	// secret that comes back masked, as a view shows it, stays as it is.
	Config json.RawMessage
	// SecretGrace is how long a webhook secret that Config replaces still verifies,
	// 0 not at all; nil is [SecretGrace].
	SecretGrace *time.Duration
	// Tags replace all tags; an empty map removes them.
	Tags map[string]string
}

// Update changes a connection. A new config is checked like that of a new
// connection, with the provider too, and makes it one of the connector's present
// version. Enabling what is enabled is no change, and announced by nothing.
func (s *Service) Update(ctx context.Context, r Ref, in UpdateInput) (*View, error) {
	if err := s.check(r); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	return s.change(ctx, r, func(d *draft) ([]events.Kind, error) {
		var kinds []events.Kind
		if in.Enabled != nil && *in.Enabled != d.Enabled() {
			kind, err := switchTo(d, *in.Enabled)
			if err != nil {
				return nil, err
			}
			kinds = append(kinds, kind)
		}
		if in.Tags != nil {
			d.Tags = in.Tags
		}
		if in.Config != nil {
			if err := s.mergeConfig(d, in.Config, in.SecretGrace); err != nil {
				return nil, err
			}
		}
		if in.Tags != nil || in.Config != nil {
			kinds = append(kinds, events.ConnectorUpdated)
		}
		return kinds, nil
	})
}

// Toggle flips a connection between enabled and disabled. Two toggles at once
// are two flips.
func (s *Service) Toggle(ctx context.Context, r Ref) (*View, error) {
	if err := s.check(r); err != nil {
		return nil, err
	}
	return s.change(ctx, r, func(d *draft) ([]events.Kind, error) {
		kind, err := switchTo(d, !d.Enabled())
		return []events.Kind{kind}, err
	})
}

func switchTo(d *draft, enabled bool) (events.Kind, error) {
	was := d.State
	if err := d.switchTo(enabled); err != nil {
		return "", connectors.Errorf(connectors.CodeConnectorNotConnected, "the connection is %s and can be neither enabled nor disabled", was)
	}
	if enabled {
		return events.ConnectorEnabled, nil
	}
	return events.ConnectorDisabled, nil
}

// RotateWebhook gives the connection a new webhook URL; the old one is honoured
// for [URLGrace]. The index gets the new URL first, and loses old ones last.
func (s *Service) RotateWebhook(ctx context.Context, r Ref) (*View, error) {
	def, err := s.checkConnector(r)
	if err != nil {
		return nil, err
	}
	if def.Webhook == nil {
		return nil, connectors.Errorf(connectors.CodeConnectorWebhookNotConfigured, "%s has no webhook", r.Connector)
	}
	url := newWebhookSecret()
	v, err := s.change(ctx, r, func(d *draft) ([]events.Kind, error) {
		if err := s.store.addURL(ctx, r, hashWebhookSecret(url)); err != nil {
			return nil, err
		}
		d.Webhook, d.url = d.Webhook.successor(url, s.now().UTC()), url
		return []events.Kind{events.ConnectorUpdated}, nil
	})
	if err != nil {
		s.takeBack(ctx, err, &WebhookURL{Hash: hashWebhookSecret(url)}, nil)
		return nil, err
	}
	v.WebhookURL = s.WebhookURL(r.Connector, url.Reveal())
	return v, nil
}

// change lets alter change the newest record, seals and stores it by revision, and
// announces what alter says has happened. alter may run again after a lost race,
// each time on the newest record. A new config is shown to the provider before it
// is stored. With nothing to announce nothing is stored.
func (s *Service) change(ctx context.Context, r Ref, alter func(*draft) ([]events.Kind, error)) (*View, error) {
	return s.changeAnd(ctx, r, alter, func(*Connection) events.Data { return events.Data{} })
}

// changeAnd is change with data for the events.
func (s *Service) changeAnd(ctx context.Context, r Ref, alter func(*draft) ([]events.Kind, error), about func(*Connection) events.Data) (*View, error) {
	var approved json.RawMessage // what the provider has agreed to in an earlier attempt
	for range attempts(ctx) {
		c, err := s.store.latest(ctx, r)
		if err != nil {
			return nil, s.absent(err, r)
		}
		before, account := c.Webhook.hashes(), c.ProviderAccount
		d := draft{Connection: c}
		d.definition, _ = s.definitions.Get(r.Connector) // gone: then nothing new is secret
		kinds, err := alter(&d)
		if err != nil {
			return nil, err
		}
		if len(kinds) == 0 {
			return s.view(c, secret.Text{}), nil
		}
		c.UpdatedAt = s.now().UTC()
		sealed, err := s.store.seal(d)
		if err != nil {
			return nil, err
		}
		if !d.vouched && !bytes.Equal(d.config, approved) {
			if err := s.validate(ctx, d.definition, sealed); err != nil {
				return nil, err
			}
			approved = d.config
		}
		err = s.store.write(ctx, c, sealed)
		if errors.Is(err, kvstore.ErrConflict) {
			continue
		}
		if err != nil {
			return nil, databaseError("store the connection", err)
		}
		s.store.removeURLs(ctx, without(before, c.Webhook.hashes())...)
		if account != c.ProviderAccount {
			s.store.removeRoute(ctx, c, account)
		}
		for _, kind := range kinds {
			s.announce(ctx, kind, c, about(c))
		}
		return s.view(c, secret.Text{}), nil
	}
	return nil, databaseError("change the connection", kvstore.ErrConflict)
}

// mergeConfig lays a merge patch over the draft's config and checks the whole. A
// webhook secret that is replaced verifies for the grace time; nil is the usual.
func (s *Service) mergeConfig(d *draft, patch json.RawMessage, grace *time.Duration) error {
	def, err := s.definitions.Get(d.Connector)
	if err != nil {
		return err
	}
	if _, ok := members(patch); !ok {
		e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "config must be a JSON object")
		e.Errors = []schema.FieldError{{Path: "config", Message: "must be an object"}}
		return e
	}
	d.definition = def
	current, err := s.store.OpenConfig(d.Connection)
	if err != nil {
		return err
	}
	shown, err := crypto.MaskFields(current, d.places())
	if err != nil {
		return decryptError(d.Connection, err)
	}
	merged, err := mergePatch(current, patch, shown)
	if err != nil {
		return encryptError(err)
	}
	config, err := s.validConfig(def, merged)
	if err != nil {
		return err
	}
	if grace == nil {
		grace = new(SecretGrace)
	}
	if def.Webhook != nil {
		d.retire(def.Webhook.SecretField, current, config, *grace, s.now().UTC())
	}
	d.config, d.ConnectorVersion = config, def.Version
	if def.LearnsAccount() && !def.HasValidate() && providerAccount(def, current) != providerAccount(def, config) {
		e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the config is not valid")
		e.Errors = []schema.FieldError{{Path: "config." + def.Webhook.AccountField, Message: "is what the provider says, and changes with an authorisation only"}}
		return e
	}
	if account := providerAccount(def, config); account != "" {
		d.ProviderAccount = account
	}
	return nil
}
