package demo

import (
	"io"
	"net/http"
	"slices"
	"time"
)

const hangFor = 60 * time.Second

// fault makes the next calls of an endpoint go wrong.
type fault struct {
	Endpoint string `json:"endpoint"` // token: POST /token; api: /api/…, /userinfo, /resources
	Mode     string `json:"mode"`
	Times    int    `json:"times"` // how many more
}

var (
	faultEndpoints = []string{"token", "api"}
	faultModes     = []string{"500", "429", "hang", "drop", "html", "invalid_grant", "none"}
)

// faults injects what POST /_fault asks for.
type faults struct {
	store    *store
	stopping <-chan struct{}
}

// set is POST /_fault {endpoint, mode, times}. times is 1 if absent; the mode
// none ends the fault. A new fault replaces the old one of its endpoint.
func (f *faults) set(r *http.Request) (reply, error) {
	in := fault{Times: 1}
	if err := readJSON(r, &in); err != nil {
		return nil, err
	}
	if !slices.Contains(faultEndpoints, in.Endpoint) || !slices.Contains(faultModes, in.Mode) || in.Times < 0 || in.Times > maxTimes {
		return nil, badInput("endpoint is token or api; mode is 500, 429, hang, drop, html, invalid_grant or none; times is 0 to 1000000")
	}
	if in.Mode == "none" {
		in.Times = 0
	}
	return in, f.store.update(func(s *state) { s.Faults[in.Endpoint] = in })
}

// take uses up one of the faults of an endpoint and returns its mode.
func (f *faults) take(endpoint string) (mode string, err error) {
	mode = "none"
	var left int
	f.store.view(func(s *state) { left = s.Faults[endpoint].Times })
	if left == 0 {
		return mode, nil
	}
	err = f.store.update(func(s *state) {
		if next := s.Faults[endpoint]; next.Times > 0 {
			mode = next.Mode
			next.Times--
			s.Faults[endpoint] = next
		}
	})
	return mode, err
}

// around lets next answer, unless a fault is set for the endpoint:
//
//	500, 429       that status (429 with Retry-After: 1), nothing done
//	html           200 with a page where JSON belongs, nothing done
//	invalid_grant  400 invalid_grant at token, 401 at api, nothing done
//	hang           nothing for 60 s or until the client goes away
//	drop           everything done, and the connection closed without an answer
func (f *faults) around(endpoint string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mode, err := f.take(endpoint)
		switch {
		case err != nil:
			writeJSON(w, http.StatusInternalServerError, storeFailed())
		case mode == "500":
			writeJSON(w, http.StatusInternalServerError, &oauthError{Code: "server_error", Description: "a fault was asked for"})
		case mode == "429":
			w.Header().Set("Retry-After", "1")
			writeJSON(w, http.StatusTooManyRequests, &oauthError{Code: "slow_down", Description: "a fault was asked for"})
		case mode == "html":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, "<!doctype html><title>Maintenance</title><p>We will be back soon.</p>")
		case mode == "invalid_grant" && endpoint == "token":
			writeJSON(w, http.StatusBadRequest, badGrant("a fault was asked for"))
		case mode == "invalid_grant":
			w.Header().Set("WWW-Authenticate", `Bearer realm="demo", error="invalid_token"`)
			writeJSON(w, http.StatusUnauthorized, map[string]*refusal{"error": unauthorized("", "a fault was asked for")})
		case mode == "hang":
			f.hang(r)
		case mode == "drop":
			next.ServeHTTP(&discardWriter{header: http.Header{}}, r)
			panic(http.ErrAbortHandler)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (f *faults) hang(r *http.Request) {
	timer := time.NewTimer(hangFor)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	case <-f.stopping:
	}
	panic(http.ErrAbortHandler)
}

// discardWriter discards a response.
type discardWriter struct{ header http.Header }

func (w *discardWriter) Header() http.Header         { return w.header }
func (w *discardWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *discardWriter) WriteHeader(int)             {}
