// Package problem is what every HTTP handler of the ingress shares: RFC 9457
// problem documents, JSON answers, and request bodies read whole within a limit.
package problem

import (
	"math"
	"net/http"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// Document is an RFC 9457 problem document. Problems of HTTP itself (no such path,
// a method that the path does not allow) have no code.
type Document struct {
	Type           string              `json:"type"`
	Title          string              `json:"title"`
	Status         int                 `json:"status"`
	Detail         string              `json:"detail,omitempty"`
	ID             string              `json:"id,omitempty"` // of the action request, as in the header X-Request-Id
	Code           connectors.Code     `json:"code,omitempty"`
	Errors         []schema.FieldError `json:"errors,omitempty"`
	Reason         string              `json:"reason,omitempty"`
	RetryAfter     int                 `json:"retry_after,omitempty"` // seconds
	ProviderStatus int                 `json:"provider_status,omitempty"`
}

// defaultRetryAfter is sent with a 503 that names no time, in seconds.
const defaultRetryAfter = 1

// Of returns the document of an error.
func Of(e *connectors.Error) Document {
	status := e.Code.HTTPStatus()
	d := Document{
		Type: "urn:hawser:error:" + string(e.Code), Title: http.StatusText(status), Status: status,
		Detail: e.Message, Code: e.Code, Errors: e.Errors, Reason: e.Reason,
		RetryAfter: int(math.Ceil(e.RetryAfter.Seconds())), ProviderStatus: e.ProviderStatus,
	}
	if d.RetryAfter == 0 && d.Status == http.StatusServiceUnavailable {
		d.RetryAfter = defaultRetryAfter
	}
	return d
}

func plain(status int, detail string) Document {
	return Document{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}
