package demo

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net/http"
	"net/url"
	"time"

	"github.com/rs/zerolog"
)

const (
	maxBody    = 64 << 10
	readWithin = 20 * time.Second // a whole request body
)

// parts are what answers requests.
type parts struct {
	authorization *authorization
	profile       *profile
	api           *api
	faults        *faults
	sender        *sender
}

func routes(p parts) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, h http.Handler) { mux.Handle(pattern, withBody(maxBody, h)) }
	api := func(pattern string, fn func(*http.Request) (reply, error)) {
		handle(pattern, p.faults.around("api", endpoint(fn)))
	}
	handle("GET /authorize", http.HandlerFunc(p.authorization.showConsent))
	handle("POST /authorize", http.HandlerFunc(p.authorization.decide))
	handle("POST /token", p.faults.around("token", http.HandlerFunc(p.authorization.exchange)))
	handle("POST /revoke", http.HandlerFunc(p.authorization.revoke))
	handle("GET /.well-known/oauth-authorization-server", http.HandlerFunc(p.authorization.metadata))
	handle("GET /avatars/{login}", http.HandlerFunc(avatar))

	api("GET /userinfo", p.profile.userinfo)
	api("GET /resources", p.profile.resources)
	api("GET /api/me", p.profile.me)
	api("POST /api/messages", p.api.postMessage)
	api("POST /api/fail", p.api.fail)
	api("POST /api/slow", p.api.slow)
	api("POST /api/charges", p.api.charge)

	handle("GET /_stats", endpoint(p.api.counters))
	handle("POST /_fault", endpoint(p.faults.set))
	mux.Handle("POST /_webhook", withBody(maxWebhookBody, endpoint(p.sender.send)))
	return mux
}

// withBody reads the whole body, within readWithin, before next runs: so a
// handler never waits for a slow sender, and notices one that goes away.
func withBody(limit int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
		tooLarge := (*http.MaxBytesError)(nil)
		switch {
		case errors.As(err, &tooLarge):
			http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
			return
		case err != nil:
			http.Error(w, "the body could not be read", http.StatusBadRequest)
			return
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// guard keeps web pages of strangers away: other sites by their Origin, and
// DNS rebinding by the Host, which has to be a loopback name. It logs each
// request by its route.
func guard(next http.Handler, log zerolog.Logger) http.Handler {
	next = http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			log.Debug().Str("route", r.Pattern).Int("status", seen.status).Dur("took", time.Since(begun)).Msg("demo: request")
		}()
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_ = http.NewResponseController(w).SetReadDeadline(begun.Add(readWithin))
		if host := (&url.URL{Host: r.Host}).Hostname(); !isLoopback(host) {
			http.Error(seen, "the demo provider answers on loopback only", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(seen, r)
	})
}

// statusWriter remembers the status for the log.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// serverLog carries net/http's own complaints.
func serverLog(to zerolog.Logger) *log.Logger {
	return log.New(to.With().Str("from", "net/http").Logger(), "demo: ", 0)
}
