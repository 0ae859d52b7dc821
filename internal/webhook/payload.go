package webhook

import (
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// payload returns the body, or the form field that holds the JSON document; nil
// if the field is absent or repeated.
func (in *input) payload() []byte {
	field := in.engine.descriptor.Payload
	if field == "" || !in.isForm() {
		return in.request.Body
	}
	if value, n := first(in.formValues()[field]); n == 1 {
		return []byte(value)
	}
	return nil
}

// PayloadOf returns the JSON document of a stored delivery, for its handler: the
// body, or the form field that holds it. Nil if the field is absent.
func PayloadOf(d *webhooks.Descriptor, r Request) []byte {
	in := input{engine: &Engine{descriptor: d}, request: plain(d, r)}
	return in.payload()
}

// CheckPayload validates a verified delivery against the webhook's schema, if it
// has one. The error is CONNECTOR_WEBHOOK_VALIDATION_FAILED with every
// violation, and does not quote the payload.
func (e *Engine) CheckPayload(r Request) *connectors.Error {
	if e.descriptor.Schema == nil {
		return nil
	}
	if _, problems := e.descriptor.Schema.Validate(PayloadOf(e.descriptor, r)); len(problems) > 0 {
		refusal := connectors.Errorf(connectors.CodeConnectorWebhookValidationFailed, "the payload does not match the connector's schema")
		refusal.Errors = problems
		return refusal
	}
	return nil
}
