package ingress

import (
	"net/http"
	"time"

	"github.com/hawser-io/hawser/internal/console"
	"github.com/hawser-io/hawser/internal/ingress/problem"
)

// Limits of the HTTP server, so that a slow client does not hold up others.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 20 * time.Second // of a whole request; see [problem.ReadBody]
	writeTimeout  = 90 * time.Second // above the longest Prefer: wait
	idleTimeout   = 90 * time.Second
	maxHeader     = 32 << 10
)

// NewServer returns an HTTP server with Hawser's deadlines and limits.
func NewServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
	}
}

func (i *Ingress) routes() http.Handler {
	mux := http.NewServeMux()
	i.receiver.Register(mux)
	i.api.Register(mux)
	i.pages.Register(mux, string(i.basePath))
	console.Register(mux, string(i.basePath))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { noRoute(mux, w, r) })
	return mux
}

// noRoute answers 404, or 405 where the path has routes of other methods.
func noRoute(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		probe := r.Clone(r.Context())
		probe.Method = method
		if _, pattern := mux.Handler(probe); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if allowed == nil {
		problem.NotFound(w)
		return
	}
	problem.MethodNotAllowed(w, allowed)
}
