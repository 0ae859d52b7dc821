package connection

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
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
	// 0 not at all; nil is [records.SecretGrace].
	SecretGrace *time.Duration
	// Tags replace all tags; an empty map removes them.
	Tags map[string]string
}

// Update changes a connection. A new config is checked like that of a new
// connection, with the provider too, and makes it one of the connector's present
// version. Enabling what is enabled is no change, and announced by nothing.
func (s *Service) Update(ctx context.Context, r records.Ref, in UpdateInput) (*View, error) {
	if err := s.check(r); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	return s.change(ctx, r, func(d *edit) ([]events.Kind, error) {
		var kinds []events.Kind
		if in.Enabled != nil && *in.Enabled != d.Record.Enabled() {
			kind, err := switchTo(d, *in.Enabled)
			if err != nil {
				return nil, err
			}
			kinds = append(kinds, kind)
		}
		if in.Tags != nil {
			d.Record.Tags = in.Tags
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
func (s *Service) Toggle(ctx context.Context, r records.Ref) (*View, error) {
	if err := s.check(r); err != nil {
		return nil, err
	}
	return s.change(ctx, r, func(d *edit) ([]events.Kind, error) {
		kind, err := switchTo(d, !d.Record.Enabled())
		return []events.Kind{kind}, err
	})
}

func switchTo(d *edit, enabled bool) (events.Kind, error) {
	was := d.Record.State
	if err := d.Record.SwitchTo(enabled); err != nil {
		return "", connectors.Errorf(connectors.CodeConnectorNotConnected, "the connection is %s and can be neither enabled nor disabled", was)
	}
	if enabled {
		return events.ConnectorEnabled, nil
	}
	return events.ConnectorDisabled, nil
}

// RotateWebhook gives the connection a new webhook URL; the old one is honoured for [records.URLGrace].
func (s *Service) RotateWebhook(ctx context.Context, r records.Ref) (*View, error) {
	def, err := s.checkConnector(r)
	if err != nil {
		return nil, err
	}
	if def.Webhook == nil {
		return nil, connectors.Errorf(connectors.CodeConnectorWebhookNotConfigured, "%s has no webhook", r.Connector)
	}
	var url secret.Text
	v, err := s.change(ctx, r, func(d *edit) ([]events.Kind, error) {
		url = d.SetWebhookURL(s.now())
		return []events.Kind{events.ConnectorUpdated}, nil
	})
	if err != nil {
		return nil, err
	}
	v.WebhookURL = s.WebhookURL(r.Connector, url.Reveal())
	return v, nil
}

// edit is a change of a connection under way.
type edit struct {
	records.Draft
	approved bool // the new config comes from the provider, which need not be asked
}

// change calls alter with the newest record, stores the result by revision, and publishes the events that alter
// returns. After a lost race alter runs again on the newest record. A new config is validated by the provider before
// it is stored. If alter returns no events, nothing is stored.
func (s *Service) change(ctx context.Context, r records.Ref, alter func(*edit) ([]events.Kind, error)) (*View, error) {
	return s.changeWithData(ctx, r, alter, func(*records.Connection) events.Data { return events.Data{} })
}

// changeWithData is change with data for the events.
func (s *Service) changeWithData(ctx context.Context, r records.Ref, alter func(*edit) ([]events.Kind, error), data func(*records.Connection) events.Data) (*View, error) {
	var approved json.RawMessage // by the provider, in an earlier attempt
	for range kvstore.Attempts(ctx) {
		c, err := s.store.Latest(ctx, r)
		if err != nil {
			return nil, s.absent(err, r)
		}
		d := edit{Draft: records.Draft{Record: c}}
		d.Definition, _ = s.definitions.Get(r.Connector) // nil: nothing in addition is secret
		kinds, err := alter(&d)
		if err != nil {
			return nil, err
		}
		if len(kinds) == 0 {
			return s.view(c, secret.Text{}), nil
		}
		c.UpdatedAt = s.now().UTC()
		sealed, err := s.store.Seal(&d.Draft)
		if err != nil {
			return nil, err
		}
		if d.Config != nil && !d.approved && !bytes.Equal(d.Config, approved) {
			if err := s.validate(ctx, d.Definition, sealed.Text); err != nil {
				return nil, err
			}
			approved = d.Config
		}
		err = s.store.Write(ctx, sealed)
		if errors.Is(err, records.ErrConflict) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, kind := range kinds {
			s.announce(ctx, kind, c, data(c))
		}
		return s.view(c, secret.Text{}), nil
	}
	return nil, records.DatabaseError("change the connection", records.ErrConflict)
}

// mergeConfig applies a merge patch to the config and checks the result. A webhook secret that is replaced still
// verifies for the grace time; nil is [records.SecretGrace].
func (s *Service) mergeConfig(d *edit, patch json.RawMessage, grace *time.Duration) error {
	def, err := s.definitions.Get(d.Record.Connector)
	if err != nil {
		return err
	}
	if _, ok := members(patch); !ok {
		return invalidConfig("config must be a JSON object", "config", "must be an object")
	}
	d.Definition = def
	current, err := s.store.OpenConfig(d.Record)
	if err != nil {
		return err
	}
	masked, err := crypto.MaskFields(current, d.SecretPaths())
	if err != nil {
		return records.DecryptError(d.Record, err)
	}
	merged, err := mergePatch(current, patch, masked)
	if err != nil {
		return records.EncryptError(err)
	}
	config, err := s.validConfig(def, merged)
	if err != nil {
		return err
	}
	if grace == nil {
		grace = new(records.SecretGrace)
	}
	if def.Webhook != nil {
		d.RetireSecret(def.Webhook.SecretField, current, config, *grace, s.now().UTC())
	}
	d.Config, d.Record.ConnectorVersion = config, def.Version
	account := providerAccount(def, config)
	if def.AccountFromProvider() && !def.HasValidate() && account != providerAccount(def, current) {
		return invalidConfig("the config is not valid", "config."+def.Webhook.AccountField, "is set by the provider; authorise the connection again to change it")
	}
	if account != "" {
		d.Record.ProviderAccount = account
	}
	return nil
}
