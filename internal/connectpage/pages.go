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

	"github.com/hawser-io/hawser/internal/connection"
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
	mux.HandleFunc("GET "+basePath+"/connectors/{connector}/oauth/start/{handle}", withErrorPage(p.start))
	mux.HandleFunc("GET "+basePath+"/connectors/{connector}/oauth/reconnect/{token}", withErrorPage(p.reconnect))
	mux.HandleFunc("GET "+basePath+"/connectors/{connector}/oauth/callback", withErrorPage(p.callback))
	mux.HandleFunc("POST "+basePath+"/connectors/{connector}/oauth/callback", withErrorPage(p.postedCallback))
	mux.HandleFunc("GET "+stylePath, serveStyle)
	mux.HandleFunc("GET /connect/{token}", withErrorPage(p.showSession))
	mux.Handle("POST /connect/{token}", http.NewCrossOriginProtection().Handler(withErrorPage(p.submitSession)))
	mux.HandleFunc("GET /connect/{token}/status", p.sessionStatus)
}
