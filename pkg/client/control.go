package client

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
)

// request is the request of a control operation. A member that is absent has its
// default.
type request map[string]any

func (r request) setIf(given bool, name string, value any) {
	if given {
		r[name] = value
	}
}

func (r request) setConfig(config any) error {
	if config == nil {
		return nil
	}
	encoded, err := encodeConfig(config)
	r["config"] = encoded
	return err
}

// call performs a control operation (hawser.api.<operation>).
func call[T any](ctx context.Context, c *Client, operation string, r request) (T, error) {
	var out T
	if c.tenant {
		return out, forbidden("the control operation " + operation)
	}
	body, err := json.Marshal(r)
	if err != nil {
		return out, connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the request cannot be written as JSON")
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	header, data, err := c.bus.Request(ctx, c.bus.Subjects.API(operation), body)
	if err != nil {
		return out, noReply(operation, err)
	}
	if code := header.Get(events.HeaderErrorCode); code != "" {
		return out, problemError(code, header.Get(events.HeaderError), data)
	}
	if err := json.Unmarshal(data, &out); err != nil {
		e := connectors.Errorf(connectors.CodeInternal, "the reply to %s cannot be read", operation)
		e.Cause = err
		return out, e
	}
	return out, nil
}

func noReply(operation string, cause error) *connectors.Error {
	e := connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "%s got no reply", operation)
	if errors.Is(cause, events.ErrNoResponders) {
		e.Code, e.Message = connectors.CodeConnectorUnavailable, "no ingress answers "+operation+": start one on this NATS system"
	}
	e.Cause, e.RetryAfter = cause, time.Second
	return e
}

// maxRetryAfter, a year in seconds, keeps the number of a reply from overflowing.
const maxRetryAfter = 365 * 24 * 3600

// problemError reads an RFC 9457 problem document.
func problemError(code, text string, document []byte) *connectors.Error {
	var p struct {
		Code           connectors.Code     `json:"code"`
		Detail         string              `json:"detail"`
		Errors         []schema.FieldError `json:"errors"`
		Reason         string              `json:"reason"`
		RetryAfter     int                 `json:"retry_after"` // seconds
		ProviderStatus int                 `json:"provider_status"`
	}
	if json.Unmarshal(document, &p) != nil || p.Code == "" {
		return &connectors.Error{Code: connectors.Code(code), Message: text}
	}
	return &connectors.Error{
		Code: p.Code, Message: p.Detail, Errors: p.Errors, Reason: p.Reason,
		RetryAfter: time.Duration(min(max(p.RetryAfter, 0), maxRetryAfter)) * time.Second, ProviderStatus: p.ProviderStatus,
	}
}

// maxName is the longest scope, identity, connector, action or account, in bytes. A
// longer one cannot be read from its subject, so no executor could answer.
const maxName = 128

// checkNames returns an error for names that are too long. Other errors of names come
// from the programs.
func checkNames(t events.Tenant, connector string) error {
	switch {
	case len(t.Scope) > maxName || len(t.Identity) > maxName:
		return connectors.Errorf(connectors.CodeConnectorScopeInvalid, "scope and identity have at most %d bytes", maxName)
	case len(connector) > maxName:
		return connectors.Errorf(connectors.CodeConnectorNotFound, "no connector %.64q is registered", connector)
	}
	return nil
}

func forbidden(what string) *connectors.Error {
	return connectors.Errorf(connectors.CodeForbidden, "%s is not permitted with a tenant's credentials", what)
}
