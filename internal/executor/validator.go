package executor

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/hawser-io/hawser/internal/natsmicro"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// validator answers hawser.validate.<connector>: it runs the connector's Validate function
// on a record that is not stored yet. The reply is {"config": what Validate has learned}, or the
// error.
type validator struct {
	connections *records.Connections
	calls       *callBuilder
	workers     *workers
	transport   http.RoundTripper
	telemetry   *telemetry
}

func (v *validator) answer(ctx context.Context, c *connectors.Connector, sealed []byte) natsmicro.Reply {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	reply, err := v.workers.runBounded(ctx, func() (json.RawMessage, error) { return v.validate(ctx, c, sealed) })
	if err == nil {
		return natsmicro.Reply{Data: reply}
	}
	e := connectors.AsError(err)
	if e.Code == connectors.CodeInternal {
		v.telemetry.log.Warn().Str("connector", c.Key).Msg("validate failed")
	}
	return errorReply(e, e)
}

func (v *validator) validate(ctx context.Context, c *connectors.Connector, sealed []byte) (json.RawMessage, error) {
	record, err := records.ParseSealed(sealed)
	if err != nil {
		return nil, err
	}
	if record.Connector != c.Key {
		// The credentials of one connector are not sent to the provider of another.
		return nil, connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the record to validate is not of %s", c.Key)
	}
	config, err := v.connections.OpenConfig(record)
	if err != nil {
		return nil, err
	}
	call := &connectors.Call{
		Scope: record.Scope, Identity: record.Identity, Connector: record.Connector,
		Account: record.Account, Attempt: 1,
	}
	if err := v.calls.build(ctx, call, target{connector: c, connection: record, config: config, transport: v.transport}); err != nil {
		return nil, err
	}
	if err := v.workers.setContext(ctx, c, call); err != nil {
		return nil, err
	}
	if err := c.RunValidate(ctx, call); err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Config map[string]json.RawMessage `json:"config,omitempty"`
	}{call.Learned})
}
