package ingress

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// Limits of the HTTP server: a slow client holds up nobody but itself.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 20 * time.Second
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
	base := i.opts.BasePath
	for _, op := range operations() {
		mux.HandleFunc(op.method+" "+base+op.path, i.overHTTP(op))
	}
	mux.HandleFunc("POST "+base+onConnection+"/actions/{action}", i.authenticated(i.runAction))
	mux.HandleFunc("POST "+base+"/connectors/{connector}/actions/{action}", i.authenticated(i.runAction))
	mux.HandleFunc("GET "+base+"/results/{id}", i.authenticated(i.getResult))
	mux.HandleFunc(base+"/connectors/{connector}/webhook/{secret}", i.receive)
	mux.HandleFunc(base+"/connectors/{connector}/webhook", i.receiveApp)
	i.operatorRoutes(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { i.noRoute(mux, w, r) })
	return emptyIdentity(mux)
}

// noRoute answers 404, or 405 where the path exists with other methods.
func (i *Ingress) noRoute(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		probe := r.Clone(r.Context())
		probe.Method = method
		if _, pattern := mux.Handler(probe); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	p := problem{Type: "about:blank", Title: "Not Found", Status: http.StatusNotFound, Code: connectors.CodeConnectorNotFound, Detail: "there is nothing at this path"}
	if allowed != nil {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		p.Title, p.Status, p.Detail = "Method Not Allowed", http.StatusMethodNotAllowed, "this path takes "+strings.Join(allowed, ", ")
	}
	p.Code = ""
	writeJSON(w, p.Status, "application/problem+json", p)
}

// emptyPathToken stands for the empty identity in a path: an unescaped "=". An
// identity that is an equals sign is written %3D.
const emptyPathToken = "="

// emptyIdentity lets the path say "no identity" as /scopes/system//connections,
// which the mux would redirect away.
func emptyIdentity(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.EscapedPath()
		head, rest, found := strings.Cut(path, "/scopes/")
		scope, tail, ok := strings.Cut(rest, "//")
		if found && ok && !strings.Contains(scope, "/") {
			fixed := head + "/scopes/" + scope + "/" + emptyPathToken + "/" + tail
			if u, err := url.Parse(fixed); err == nil {
				r = r.Clone(r.Context())
				r.URL.Path, r.URL.RawPath = u.Path, u.RawPath
			}
		}
		next.ServeHTTP(w, r)
	})
}

// identityOf reads the identity of a path: percent-decoded, or empty for a bare
// equals sign.
func identityOf(r *http.Request) string {
	_, rest, _ := strings.Cut(r.URL.EscapedPath(), "/scopes/")
	_, rest, _ = strings.Cut(rest, "/")
	segment, _, _ := strings.Cut(rest, "/")
	if segment == emptyPathToken {
		return ""
	}
	return r.PathValue("identity")
}
