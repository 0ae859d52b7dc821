package problem

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors"
)

const (
	jsonType    = "application/json"
	problemType = "application/problem+json"
)

// RequestIDHeader has the id of a request, for an action the action's. It is set in every
// response before the request is handled.
const RequestIDHeader = "X-Request-Id"

// SetRequestID replaces the id of the request: in the header and in the request's log line.
func SetRequestID(w http.ResponseWriter, id string) { w.Header().Set(RequestIDHeader, id) }

// CodeRecorder is a response writer that records the error code of its answer, for
// the request's log line.
type CodeRecorder interface{ RecordCode(code connectors.Code) }

// RecordCode records the code of an error that is not answered by [Write].
func RecordCode(w http.ResponseWriter, e *connectors.Error) {
	if r, ok := w.(CodeRecorder); ok {
		r.RecordCode(e.Code)
	}
}

// Write answers with the problem document of an error. A [NotFoundError] is a 404
// without a code.
func Write(w http.ResponseWriter, err error) { WriteFor(w, "", err) }

// WriteFor is Write with the id of the action request that the error is about.
func WriteFor(w http.ResponseWriter, id string, err error) {
	if d, ok := Missing(err); ok {
		write(w, d.Status, problemType, d)
		return
	}
	e := connectors.AsError(err)
	d := Of(e)
	d.ID = id
	if d.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(d.RetryAfter))
	}
	if d.Status == http.StatusUnauthorized && e.Code == connectors.CodeUnauthenticated {
		w.Header().Set("WWW-Authenticate", `Bearer realm="hawser"`)
	}
	RecordCode(w, e)
	write(w, d.Status, problemType, d)
}

// Missing returns the document of a [NotFoundError]; ok is false for other errors.
func Missing(err error) (d Document, ok bool) {
	missing, ok := errors.AsType[NotFoundError](err)
	return plain(http.StatusNotFound, string(missing)), ok
}

// NotFound answers 404 for a path that does not exist.
func NotFound(w http.ResponseWriter) {
	write(w, http.StatusNotFound, problemType, plain(http.StatusNotFound, "there is nothing at this path"))
}

// MethodNotAllowed answers 405 with the methods that the path allows.
func MethodNotAllowed(w http.ResponseWriter, allowed []string) {
	if slices.Contains(allowed, "GET") && !slices.Contains(allowed, "HEAD") {
		allowed = append(slices.Clone(allowed), "HEAD")
	}
	list := strings.Join(allowed, ", ")
	w.Header().Set("Allow", list)
	write(w, http.StatusMethodNotAllowed, problemType, plain(http.StatusMethodNotAllowed, "this path allows "+list))
}

// WriteJSON answers with a JSON document.
func WriteJSON(w http.ResponseWriter, status int, body any) { write(w, status, jsonType, body) }

func write(w http.ResponseWriter, status int, contentType string, body any) {
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
	_, _ = w.Write(data) // the client may have closed the connection
}
