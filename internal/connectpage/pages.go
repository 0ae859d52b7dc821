// Package connectpage is the pages that end users see while they connect an account:
// plain HTML without scripts.
//
//	pages.go    the routes
//	oauth.go    start, reconnect link and callback of an OAuth flow
//	session.go  connect sessions
//	form.go     a connector's config as a form
//	page.go     templates
package connectpage

import (
	"net/http"
	"strings"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/oauth/flow"
)

// Pages are the handlers. Safe for concurrent use.
type Pages struct {
	oauth   *flow.Service
	service *connection.Service
}

// New returns the pages.
func New(flow *flow.Service, service *connection.Service) *Pages { return &Pages{flow, service} }

// Register adds the routes to mux: those of OAuth flows below basePath, and those of
// connect sessions below /connect/.
func (p *Pages) Register(mux *http.ServeMux, basePath string) {
	mux.HandleFunc("GET "+basePath+"/connectors/{connector}/oauth/start/{handle}", withErrorPage(forUser(p.start)))
	mux.HandleFunc("GET "+basePath+"/connectors/{connector}/oauth/reconnect/{token}", withErrorPage(forUser(p.reconnect)))
	mux.HandleFunc("GET "+basePath+"/connectors/{connector}/oauth/callback", withErrorPage(forUser(p.callback)))
	mux.HandleFunc("POST "+basePath+"/connectors/{connector}/oauth/callback", withErrorPage(p.postedCallback))
	mux.HandleFunc("GET "+stylePath, serveStyle)
	mux.HandleFunc("GET /connect/{token}", withErrorPage(p.showSession))
	mux.Handle("POST /connect/{token}", http.NewCrossOriginProtection().Handler(withErrorPage(p.submitSession)))
	mux.HandleFunc("GET /connect/{token}/status", p.sessionStatus)
}

// forUser calls next for what a user opens. Link scanners send HEAD, and browsers fetch pages
// that may never be seen: neither has an effect. A browser repeats a prefetch that failed.
func forUser(next func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		switch {
		case r.Method == http.MethodHead:
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusOK)
			return nil
		case isPrefetch(r.Header):
			return problem.Overloaded("this page is not shown in advance")
		}
		return next(w, r)
	}
}

// isPrefetch reports whether a browser fetches a page before anybody has asked for it: by
// Sec-Purpose (Fetch Standard), or by the names that older browsers use.
func isPrefetch(h http.Header) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		value := strings.ToLower(h.Get(name))
		if strings.Contains(value, "prefetch") || strings.Contains(value, "prerender") || strings.Contains(value, "preview") {
			return true
		}
	}
	return false
}
