package connection

import (
	"context"
	"encoding/json"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/events"
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
	if err := s.names.check(r); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	return s.edits.change(ctx, r, noData, func(d *edit) ([]events.Kind, error) {
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
			if err := s.edits.mergeConfig(d, in.Config, in.SecretGrace); err != nil {
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
	if err := s.names.check(r); err != nil {
		return nil, err
	}
	return s.edits.change(ctx, r, noData, func(d *edit) ([]events.Kind, error) {
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
	def, err := s.names.connector(r)
	if err != nil {
		return nil, err
	}
	if def.Webhook == nil {
		return nil, connectors.Errorf(connectors.CodeConnectorWebhookNotConfigured, "%s has no webhook", r.Connector)
	}
	var url secret.Text
	v, err := s.edits.change(ctx, r, noData, func(d *edit) ([]events.Kind, error) {
		url = s.edits.connections.RenewWebhookURL(&d.Draft, s.edits.now())
		return []events.Kind{events.ConnectorUpdated}, nil
	})
	if err != nil {
		return nil, err
	}
	v.WebhookURL = s.views.webhookURL(r.Connector, url.Reveal())
	return v, nil
}

// mergeConfig applies a merge patch to the config and checks the result. A webhook secret that is replaced still
// verifies for the grace time; nil is [records.SecretGrace].
func (e *editor) mergeConfig(d *edit, patch json.RawMessage, grace *time.Duration) error {
	def, err := e.names.definitions.Get(d.Record.Connector)
	if err != nil {
		return err
	}
	if _, ok := members(patch); !ok {
		return invalidConfig("config must be a JSON object", "config", "must be an object")
	}
	d.Definition = def
	current, err := e.connections.OpenConfig(d.Record)
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
	config, err := e.configs.checkSchema(def, merged)
	if err != nil {
		return err
	}
	if grace == nil {
		grace = new(records.SecretGrace)
	}
	if def.Webhook != nil {
		d.RetireSecret(def.Webhook.SecretField, current, config, *grace, e.now().UTC())
	}
	d.Config, d.Record.ConnectorVersion, d.Record.Captured = config, def.Version, "" // the field may have a typed secret now
	account := providerAccount(def, config)
	if def.AccountFromProvider() && !def.ProvesOwner() && account != providerAccount(def, current) {
		return invalidConfig("the config is not valid", "config."+def.Webhook.AccountField, "is set by the provider; connect again to change it")
	}
	if account != "" {
		d.Record.ProviderAccount = account
	}
	return nil
}

// CaptureSecret keeps the webhook secret that a provider handed over, in the
// config field of that dotted path. Nobody can replace one: if the field has a
// value by now, it is CONNECTOR_WEBHOOK_VERIFICATION_FAILED.
func (s *Service) CaptureSecret(ctx context.Context, r records.Ref, field string, captured secret.Text) error {
	_, err := s.edits.change(ctx, r, noData, func(d *edit) ([]events.Kind, error) {
		if d.Definition == nil {
			// Without it nobody knows that the field is secret.
			_, err := s.names.definitions.Get(r.Connector)
			return nil, err
		}
		config, err := s.connections.OpenConfig(d.Record)
		if err != nil {
			return nil, err
		}
		at := records.FieldAt(config, field)
		if len(at) > 0 && !isNull(at) && string(at) != `""` {
			return nil, connectors.Errorf(connectors.CodeConnectorWebhookVerificationFailed, "the connection has a webhook secret already")
		}
		merged, err := withText(config, field, captured)
		if err != nil {
			return nil, err
		}
		d.Config, d.approved, d.Record.Captured = merged, true, field
		return []events.Kind{events.ConnectorUpdated}, nil
	})
	return err
}

// TakeCapturedSecret returns the webhook secret that a provider has handed over, once: for
// providers at which somebody has to type it in. CONNECTOR_WEBHOOK_NOT_CONFIGURED if there is
// none, or somebody has read it.
func (s *Service) TakeCapturedSecret(ctx context.Context, r records.Ref) (captured secret.Text, err error) {
	if err := s.names.check(r); err != nil {
		return captured, err
	}
	_, err = s.edits.change(ctx, r, noData, func(d *edit) ([]events.Kind, error) {
		if d.Record.Captured == "" {
			return nil, connectors.Errorf(connectors.CodeConnectorWebhookNotConfigured, "the connection has no secret of its provider's that nobody has read; have the provider send one again")
		}
		config, err := s.connections.OpenConfig(d.Record)
		if err != nil {
			return nil, err
		}
		var text string
		if err := json.Unmarshal(records.FieldAt(config, d.Record.Captured), &text); err != nil {
			return nil, records.DecryptError(d.Record, err)
		}
		captured, d.Record.Captured = secret.New(text), ""
		return []events.Kind{events.ConnectorUpdated}, nil
	})
	if err != nil {
		return secret.Text{}, err
	}
	return captured, nil
}
