package connection

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// CaptureSecret keeps the webhook secret that a provider handed over, in the
// config field of that dotted path. Nobody can replace one: if the field has a
// value by now, it is CONNECTOR_WEBHOOK_VERIFICATION_FAILED.
func (s *Service) CaptureSecret(ctx context.Context, r Ref, field string, captured secret.Text) error {
	value, err := json.Marshal(captured.Reveal())
	if err != nil {
		return encryptError(err)
	}
	names := strings.Split(field, ".")
	_, err = s.change(ctx, r, func(c *Connection) ([]events.Kind, error) {
		patch := json.RawMessage(value)
		at := c.Config
		for _, name := range names {
			var object map[string]json.RawMessage
			_ = json.Unmarshal(at, &object) // what is no object has no member
			at = object[name]
		}
		if len(at) > 0 && string(at) != "null" && string(at) != `""` {
			return nil, connectors.Errorf(connectors.CodeConnectorWebhookVerificationFailed, "the connection has a webhook secret already")
		}
		for n := len(names) - 1; n >= 0; n-- {
			outer, err := json.Marshal(map[string]json.RawMessage{names[n]: patch})
			if err != nil {
				return nil, encryptError(err)
			}
			patch = outer
		}
		merged, err := mergePatch(c.Config, patch)
		if err != nil {
			return nil, encryptError(err)
		}
		c.Config = merged
		return []events.Kind{events.ConnectorUpdated}, nil
	})
	return err
}
