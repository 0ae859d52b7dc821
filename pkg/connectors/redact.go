package connectors

import (
	"cmp"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/secret"
)

const (
	maxMessage  = 500 // bytes
	minRedacted = 4   // bytes of a secret: shorter ones occur inside ordinary words
)

// publicError returns a handler's error with its code, and with a text that people may see.
func publicError(err error, call *Call) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		public := *e
		public.Message = redact(e.Message, call)
		public.Errors = nil
		for _, field := range e.Errors {
			public.Errors = append(public.Errors, schema.FieldError{Path: redact(field.Path, call), Message: redact(field.Message, call)})
		}
		public.Reason = redact(e.Reason, call)
		public.Cause = err
		if d, ok := RetryDelay(err); ok {
			public.RetryAfter = d
		}
		return &public
	}
	e := AsError(err)
	if e.Code == CodeInternal { // neither a provider's error nor the deadline
		e.Code, e.Message = CodeConnectorActionFailed, publicText(err)
	}
	e.Message = redact(e.Message, call)
	return e
}

// redact returns the text without the secrets of the call and its companions, plain
// or encoded for a URL or in base64, and not longer than maxMessage.
func redact(text string, call *Call) string {
	if call != nil && text != "" {
		for _, s := range call.secrets() {
			value := s.Reveal()
			if len(value) < minRedacted {
				continue
			}
			for _, form := range []string{
				value, url.QueryEscape(value), url.PathEscape(value),
				base64.StdEncoding.EncodeToString([]byte(value)), base64.URLEncoding.EncodeToString([]byte(value)),
			} {
				text = strings.ReplaceAll(text, form, secret.Redacted)
			}
		}
	}
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "") + "…"
	}
	return text
}

// publicText returns the text of an error for people. The text of a failed request has its
// whole URL, which can contain internal addresses and credentials, so it is replaced.
func publicText(err error) string {
	if !is[*url.Error](err) {
		return err.Error()
	}
	return cmp.Or(CallFailure(err), "the request to the provider failed")
}
