package connectors

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"time"
)

// What follows is for the program that runs a connector, not for its author.

// CheckInput is the first step of [Action.Run] alone: it returns the input with
// its defaults, or CONNECTOR_ACTION_INPUT_INVALID with all errors.
func (a *Action) CheckInput(input json.RawMessage) (json.RawMessage, error) {
	in, wrong := a.Input.Validate(orEmptyObject(input))
	if wrong != nil {
		return nil, &Error{Code: CodeConnectorActionInputInvalid, Message: "the input is invalid", Errors: wrong}
	}
	return in, nil
}

// TimeLimit is Timeout, or its default.
func (a *Action) TimeLimit() time.Duration {
	if a.Timeout <= 0 {
		return defaultTimeout
	}
	return a.Timeout
}

// AttemptLimit is MaxAttempts, or its default.
func (a *Action) AttemptLimit() int {
	if a.MaxAttempts <= 0 {
		return defaultMaxAttempts
	}
	return a.MaxAttempts
}

// RunValidate calls Validate, if there is one. An error without a code of its
// own becomes CONNECTOR_CONFIG_INVALID; its text is freed from call.Secrets. A
// provider that cannot be reached, or answers with 429 or 5xx, is no fault of the
// config: the code is that of [Action.Run]. A panic is CONNECTOR_ACTION_FAILED.
func (c *Connector) RunValidate(ctx context.Context, call *Call) (err error) {
	if c.Validate == nil {
		return nil
	}
	defer func() {
		if value := recover(); value != nil {
			err = failure(newPanic(value), call)
		}
	}()
	if err = c.Validate(ctx, call); err == nil {
		return nil
	}
	e := failure(err, call)
	_, coded := errors.AsType[*Error](err)
	_, unreachable := errors.AsType[*url.Error](err)
	if !coded && !unreachable && e.Code == CodeConnectorActionFailed && e.ProviderStatus < 500 {
		e.Code = CodeConnectorConfigInvalid
	}
	return e
}

// ConfigSecrets returns the values of an opened config that its schema marks secret, for
// Call.Secrets.
func (c *Connector) ConfigSecrets(config json.RawMessage) []Secret {
	return c.Config.SecretValues(config)
}
