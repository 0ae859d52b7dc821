package connectors

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
)

// RunValidate calls Validate, if there is one. An error without a code of its
// own becomes CONNECTOR_CONFIG_INVALID; call.Secrets are removed from its text. A
// provider that cannot be reached, or answers with 429 or 5xx, is no fault of the
// config: the code is that of [Action.Run]. A panic is CONNECTOR_ACTION_FAILED.
func (c *Connector) RunValidate(ctx context.Context, call *Call) error {
	if c.Validate == nil {
		return nil
	}
	err := recovered(func() error { return c.Validate(ctx, call) })
	if err == nil {
		return nil
	}
	e := publicError(err, call)
	_, coded := errors.AsType[*Error](err)
	_, unreachable := errors.AsType[*url.Error](err)
	_, panicked := errors.AsType[*PanicError](err)
	if !coded && !unreachable && !panicked && e.Code == CodeConnectorActionFailed && e.ProviderStatus < 500 {
		e.Code = CodeConnectorConfigInvalid
	}
	return e
}

// ConfigSecrets returns the values of an opened config that its schema marks secret, for
// Call.Secrets.
func (c *Connector) ConfigSecrets(config json.RawMessage) []Secret {
	return c.Config.SecretValues(config)
}
