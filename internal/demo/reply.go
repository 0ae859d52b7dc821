package demo

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// refusal is an answer other than success of the REST API.
type refusal struct {
	status     int
	Code       string        `json:"code"`
	Message    string        `json:"message"`
	challenge  string        // WWW-Authenticate
	retryAfter time.Duration // Retry-After, in whole seconds
}

func (e *refusal) Error() string { return e.Message }

func refuse(status int, code, message string) *refusal {
	return &refusal{status: status, Code: code, Message: message}
}

// reply is the body of an answer; handlers of endpoint return it.
type reply any

// endpoint turns a function into a handler that answers JSON: 200 with the
// reply, or the error as {"error":{"code","message"}}.
func endpoint(fn func(*http.Request) (reply, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := fn(r)
		if err == nil {
			writeJSON(w, http.StatusOK, body)
			return
		}
		var e *refusal
		if !errors.As(err, &e) {
			e = storeFailed()
		}
		if e.challenge != "" {
			w.Header().Set("WWW-Authenticate", e.challenge)
		}
		if e.retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(e.retryAfter/time.Second)))
		}
		writeJSON(w, e.status, map[string]*refusal{"error": e})
	}
}

func badInput(message string) *refusal {
	return refuse(http.StatusBadRequest, "bad_request", message)
}

func storeFailed() *refusal {
	return refuse(http.StatusInternalServerError, "internal", "the demo provider could not store this")
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// readJSON decodes the body into v, whatever its content type says: a plain
// `curl -d` is welcome. Unknown members and trailing text are errors.
func readJSON(r *http.Request, v any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	err := decoder.Decode(v)
	if err == nil {
		if _, err = decoder.Token(); err == io.EOF {
			return nil
		}
	}
	// The decoder's text can quote the body, and a body can hold a secret.
	return badInput("the body is not the JSON object that this call takes")
}
