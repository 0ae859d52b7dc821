package client_test

import (
	"testing"

	"github.com/hawser-io/hawser/pkg/client"
	"github.com/hawser-io/hawser/pkg/events"
)

func FuzzEvent(f *testing.F) {
	f.Add("hawser.result.organization.o.echo.say.1", "hawser.action.completed", []byte(`{"data":{"a":1}}`))
	f.Add("hawser.result.organization.o.echo.say.1", "hawser.action.failed", []byte(`{"error":{"code":"INTERNAL","message":""}}`))
	f.Add("hawser.event.system.=.echo.connector.connected", "hawser.connector.connected", []byte(`{"durationMs":1.5}`))
	f.Add("hawser.webhook.organization.a=2Eb.echo.x.d", "hawser.webhook.x", []byte("\x00"))
	f.Add("hawser.webhook", "", []byte("{"))
	f.Fuzz(func(t *testing.T, subject, eventType string, data []byte) {
		header := events.Header{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"/x"}, "ce-type": {eventType}, "content-type": {"application/json"}}
		for _, h := range []events.Header{header, {"content-type": {"application/cloudevents+json"}}, nil} {
			e, err := client.ReadEvent(subject, h, data)
			if err != nil {
				continue
			}
			if e.Tenant.Tokens() == "" || e.Header == nil {
				t.Errorf("read %+v from %s", e, subject)
			}
			if out, err := e.Result(); err != nil && out != nil {
				t.Errorf("a result has output %s and error %v", out, err)
			}
			_, _ = e.Details() // must not panic
		}
	})
}

func FuzzProblem(f *testing.F) {
	f.Add("FORBIDDEN", "no", []byte(`{"code":"CONNECTOR_RATE_LIMITED","detail":"slow","retry_after":3,"errors":[{"path":"a","message":"b"}]}`))
	f.Add("FORBIDDEN", "no", []byte(`{"code":1}`))
	f.Add("INTERNAL", "", []byte(`{"code":"INTERNAL","retry_after":9223372036854775807}`))
	f.Add("INTERNAL", "", []byte(nil))
	f.Fuzz(func(t *testing.T, code, text string, document []byte) {
		e := client.ProblemError(code, text, document)
		if code != "" && e.Code == "" {
			t.Errorf("the code %q was lost", code)
		}
		if e.RetryAfter < 0 {
			t.Errorf("to be repeated %v ago", -e.RetryAfter)
		}
	})
}
