package connection

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// CaptureSecret keeps the webhook secret that a provider handed over, in the
// config field of that dotted path. Nobody can replace one: if the field has a
// value by now, it is CONNECTOR_WEBHOOK_VERIFICATION_FAILED.
func (s *Service) CaptureSecret(ctx context.Context, r records.Ref, field string, captured secret.Text) error {
	value, err := json.Marshal(captured.Reveal())
	if err != nil {
		return records.EncryptError(err)
	}
	names := strings.Split(field, ".")
	_, err = s.change(ctx, r, func(d *edit) ([]events.Kind, error) {
		if d.Definition == nil {
			// Without it nobody knows that the field is secret.
			_, err := s.definitions.Get(r.Connector)
			return nil, err
		}
		config, err := s.store.OpenConfig(d.Record)
		if err != nil {
			return nil, err
		}
		at := records.FieldAt(config, field)
		if len(at) > 0 && !isNull(at) && string(at) != `""` {
			return nil, connectors.Errorf(connectors.CodeConnectorWebhookVerificationFailed, "the connection has a webhook secret already")
		}
		patch := json.RawMessage(value)
		for n := len(names) - 1; n >= 0; n-- {
			outer, err := json.Marshal(map[string]json.RawMessage{names[n]: patch})
			if err != nil {
				return nil, records.EncryptError(err)
			}
			patch = outer
		}
		merged, err := mergePatch(config, patch, nil)
		if err != nil {
			return nil, records.EncryptError(err)
		}
		d.Config, d.approved = merged, true
		return []events.Kind{events.ConnectorUpdated}, nil
	})
	return err
}
