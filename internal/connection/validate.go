package connection

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// validateTimeout bounds how long a provider may take to judge a config.
const validateTimeout = 15 * time.Second

// validate has an executor run the connector's Validate. The code of a connector
// lives in executors only; what travels there is the sealed record, as it would
// be stored, so that no secret crosses the bus in the clear.
func (s *Service) validate(ctx context.Context, def *connectors.Connector, sealed []byte) error {
	if !def.HasValidate() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, validateTimeout)
	defer cancel()
	header, reply, err := s.bus.Request(ctx, s.bus.Subjects.Validate(def.Key), sealed)
	if errors.Is(err, events.ErrNoResponders) {
		e := connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "no executor serves %s, so its config cannot be validated; start one", def.Key)
		e.Cause = err
		return e
	}
	if err != nil {
		return records.DatabaseError("have an executor validate the config", err)
	}
	if header.Get(events.HeaderErrorCode) == "" {
		return nil
	}
	var problem connectors.Error
	if err := json.Unmarshal(reply, &problem); err != nil {
		return records.DatabaseError("read an executor's verdict on the config", err)
	}
	return &problem
}
