package connection

import (
	"context"
	"encoding/json"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/events"
)

// SetState brings a connection into a state that only OAuth flows lead to.
func (s *Service) SetState(ctx context.Context, r records.Ref, state records.State) error {
	_, err := s.edits.change(ctx, r, noData, func(d *edit) ([]events.Kind, error) {
		d.Record.State = state
		return []events.Kind{events.ConnectorUpdated}, nil
	})
	return err
}

// MergePatch gives tests the function.
func MergePatch(target, patch, shown json.RawMessage) (json.RawMessage, error) {
	return mergePatch(target, patch, shown)
}
