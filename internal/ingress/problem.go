package ingress

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

const (
	jsonType    = "application/json"
	problemType = "application/problem+json"
)

// problem is an RFC 9457 problem document. Only what HTTP itself says (there is
// no such path, the path takes other methods) has no code.
type problem struct {
	Type           string              `json:"type"`
	Title          string              `json:"title"`
	Status         int                 `json:"status"`
	Detail         string              `json:"detail,omitempty"`
	Code           connectors.Code     `json:"code,omitempty"`
	Errors         []schema.FieldError `json:"errors,omitempty"`
	Reason         string              `json:"reason,omitempty"`
	RetryAfter     int                 `json:"retry_after,omitempty"` // seconds
	ProviderStatus int                 `json:"provider_status,omitempty"`
}

// reasonTooLarge makes the answer 413, whatever the code's status is.
const reasonTooLarge = "too_large"

func problemOf(e *connectors.Error) problem {
	status := e.Code.HTTPStatus()
	if e.Reason == reasonTooLarge {
		status = http.StatusRequestEntityTooLarge
	}
	p := problem{
		Type: "urn:hawser:error:" + string(e.Code), Title: http.StatusText(status), Status: status,
		Detail: e.Message, Code: e.Code, Errors: e.Errors, Reason: e.Reason,
		RetryAfter: int(math.Ceil(e.RetryAfter.Seconds())), ProviderStatus: e.ProviderStatus,
	}
	if p.RetryAfter == 0 && p.Status == http.StatusServiceUnavailable {
		p.RetryAfter = defaultRetryAfter
	}
	return p
}

func plainProblem(status int, detail string) problem {
	return problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
}

// defaultRetryAfter is said with a 503 that names no time, in seconds.
const defaultRetryAfter = 1

func writeProblem(w http.ResponseWriter, e *connectors.Error) {
	p := problemOf(e)
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	if p.Status == http.StatusUnauthorized && e.Code == connectors.CodeUnauthenticated {
		w.Header().Set("WWW-Authenticate", `Bearer realm="hawser"`)
	}
	note(w, e)
	writeJSON(w, p.Status, problemType, p)
}

// notFiled says that there is no such thing to be looked at or driven again. The
// codes are about connectors, so it has none.
type notFiled struct{ what string }

func (n notFiled) Error() string { return "there is no " + n.what + " with this id" }

func writeError(w http.ResponseWriter, err error) {
	if none, ok := errors.AsType[notFiled](err); ok {
		writeJSON(w, http.StatusNotFound, problemType, plainProblem(http.StatusNotFound, none.Error()))
		return
	}
	writeProblem(w, connectors.AsError(err))
}

func writeJSON(w http.ResponseWriter, status int, contentType string, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		status, contentType = http.StatusInternalServerError, problemType
		data = []byte(`{"type":"urn:hawser:error:INTERNAL","title":"Internal Server Error","status":500,"code":"INTERNAL"}`)
	}
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client may be gone; nothing is to be done about it
}
