package executor

import (
	"context"
	"encoding/json"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// answerValidate runs a connector's Validate on a record that is not stored yet.
// The reply is {}, or the error.
func (x *Executor) answerValidate(ctx context.Context, c *connectors.Connector, ask events.Ask) events.Reply {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	_, err := x.within(ctx, func() (json.RawMessage, error) { return nil, x.validate(ctx, c, ask.Data) })
	if err == nil {
		return events.Reply{Data: []byte(`{}`)}
	}
	e := connectors.AsError(err)
	if e.Code == connectors.CodeInternal {
		x.log.Warn().Str("connector", c.Key).Msg("validate failed")
	}
	body, err := json.Marshal(e)
	if err != nil {
		body = nil
	}
	return events.Reply{Data: body, Code: string(e.Code), Text: e.Message}
}

func (x *Executor) validate(ctx context.Context, c *connectors.Connector, sealed []byte) error {
	record, err := x.Store.ParseSealed(sealed)
	if err != nil {
		return err
	}
	if record.Connector != c.Key {
		// One connector's credentials are not for another one's provider.
		return connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the record to validate is not of %s", c.Key)
	}
	config, err := x.Store.OpenConfig(record)
	if err != nil {
		return err
	}
	call := &connectors.Call{
		Scope: record.Scope, Identity: record.Identity, Connector: record.Connector,
		Account: record.Account, ConnectionID: record.ID, Attempt: 1,
	}
	if err := x.equip(ctx, c, call, config, record, newWitness(x.HTTP.Transport)); err != nil {
		return err
	}
	if err := x.context(ctx, c, call); err != nil {
		return err
	}
	return c.RunValidate(ctx, call)
}
