package connection

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// WebhookURL returns the URL to which the provider of a stored connection sends its webhooks;
// zero if it has none.
func (s *Service) WebhookURL(c *records.Connection) (secret.Text, error) {
	segment, err := s.connections.OpenWebhookURL(c)
	if err != nil || segment.IsZero() {
		return secret.Text{}, err
	}
	return secret.New(s.views.webhookURL(c.Connector, segment.Reveal())), nil
}

// SetWebhookSecret stores the signing secret of a webhook that was registered by the provider's
// API. The one before it verifies for [records.SecretGrace]. CONNECTOR_NOT_CONNECTED if the
// connection is not the one with the id any more.
func (s *Service) SetWebhookSecret(ctx context.Context, c *records.Connection, field string, signing secret.Text) error {
	_, err := s.edits.change(ctx, c.Ref(), noData, func(d *edit) ([]events.Kind, error) {
		if d.Record.ID != c.ID {
			return nil, connectors.Errorf(connectors.CodeConnectorNotConnected, "the connection was replaced")
		}
		config, err := s.connections.OpenConfig(d.Record)
		if err != nil {
			return nil, err
		}
		merged, err := withText(config, field, signing)
		if err != nil {
			return nil, err
		}
		d.RetireSecret(field, config, merged, records.SecretGrace, s.edits.now().UTC())
		d.Config, d.approved = merged, true
		return []events.Kind{events.ConnectorUpdated}, nil
	})
	return err
}

// withText returns a config with a text at a dotted path.
func withText(config json.RawMessage, path string, text secret.Text) (json.RawMessage, error) {
	patch, err := json.Marshal(text.Reveal())
	for _, name := range slices.Backward(strings.Split(path, ".")) {
		if err == nil {
			patch, err = json.Marshal(map[string]json.RawMessage{name: patch})
		}
	}
	if err == nil {
		patch, err = mergePatch(config, patch, nil)
	}
	if err != nil {
		return nil, records.EncryptError(err)
	}
	return patch, nil
}

// unsubscribeTimeout bounds how long a disconnect waits until the webhook is no longer registered
// at the provider.
const unsubscribeTimeout = 5 * time.Second

// Unsubscribe has an executor remove the webhook of a connection that was removed from its
// provider, and returns when that is done or has failed, or after five seconds. What has failed
// is tried again later; a failure is reported, not returned.
func (s *Service) Unsubscribe(ctx context.Context, removed *records.Connection) {
	def, err := s.names.definitions.Get(removed.Connector)
	if err != nil || def.Subscription == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unsubscribeTimeout)
	defer cancel()
	request, err := json.Marshal(map[string]string{"key": removed.Ref().Key()})
	if err == nil {
		_, _, err = s.events.bus.Request(ctx, s.events.bus.Subjects.Subscription(), request)
	}
	if err != nil && !errors.Is(err, events.ErrNoResponders) {
		s.events.onError(err)
	}
}
