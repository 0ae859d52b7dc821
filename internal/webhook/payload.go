package webhook

import "github.com/hawser-io/hawser/pkg/connectors"
import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// payloadOf is [PayloadOf] of the engine's webhook.
func (e *Engine) payloadOf(r Request) []byte {
	v := view{engine: e, request: r}
	if e.payload == "" || !v.isForm() {
		return r.Body
	}
	if field, n := first(v.formValues()[e.payload]); n == 1 {
		return []byte(field)
	}
	return nil
}

// CheckPayload holds a verified delivery against the webhook's schema, if it has
// one. It is CONNECTOR_WEBHOOK_VALIDATION_FAILED with every error; no message
// quotes the payload.
func (e *Engine) CheckPayload(r Request) *connectors.Error {
	if e.webhook.Schema == nil {
		return nil
	}
	if _, problems := e.webhook.Schema.Validate(e.payloadOf(r)); len(problems) > 0 {
		refusal := connectors.Errorf(connectors.CodeConnectorWebhookValidationFailed, "the payload does not fit the connector's schema")
		refusal.Errors = problems
		return refusal
	}
	return nil
}

// PayloadOf returns the JSON document of a request, for an executor that hands a
// stored delivery to a handler: its body, or the form field that holds it. nil if
// the field is absent.
func PayloadOf(w *webhooks.Descriptor, r Request) []byte {
	return (&Engine{payload: w.Payload}).payloadOf(r)
}
