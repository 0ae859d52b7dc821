package ingress

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hawser-io/hawser/web"
)

// Limits of the HTTP server: a slow client holds up nobody but itself.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 20 * time.Second // of a whole request; see [readBody]
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
	for _, method := range []string{"", "POST "} { // most are posted, and a pattern with a method is found sooner
		mux.HandleFunc(method+base+"/connectors/{connector}/webhook/{secret}", i.receive)
		mux.HandleFunc(method+base+"/connectors/{connector}/webhook", i.receiveApp)
	}
	i.operatorRoutes(mux)
	mux.HandleFunc("GET "+base+"/events", i.authenticated(i.feed))
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		mux.HandleFunc(method+" "+base+onConnection+"/proxy/{path...}", i.authenticated(i.proxy))
	}
	mux.HandleFunc("GET "+base+"/connectors/{connector}/oauth/start/{handle}", i.startOAuth)
	mux.HandleFunc("GET "+base+"/connectors/{connector}/oauth/reconnect/{token}", i.reconnectOAuth)
	mux.HandleFunc("GET "+base+"/connectors/{connector}/oauth/callback", i.callbackOAuth)
	mux.HandleFunc("GET "+web.StylePath, web.Style)
	console := web.Console(base)
	mux.Handle("GET /console", http.RedirectHandler("/console/", http.StatusMovedPermanently))
	for _, file := range []string{"{$}", "console.js", "console.css"} {
		mux.Handle("GET /console/"+file, console)
	}
	mux.HandleFunc("GET /connect/{token}", i.openSession)
	mux.Handle("POST /connect/{token}", http.NewCrossOriginProtection().Handler(http.HandlerFunc(i.answerSession)))
	mux.HandleFunc("GET /connect/{token}/status", i.sessionStatus)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { i.noRoute(mux, w, r) })
	return mux
}

// noRoute answers 404, or 405 where the path exists with other methods.
func (i *Ingress) noRoute(mux *http.ServeMux, w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		probe := r.Clone(r.Context())
		probe.Method = method
		if _, pattern := mux.Handler(probe); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if allowed == nil {
		nothingHere(w)
		return
	}
	notAllowed(w, allowed)
}

func nothingHere(w http.ResponseWriter) {
	writeJSON(w, http.StatusNotFound, problemType, plainProblem(http.StatusNotFound, "there is nothing at this path"))
}

// notAllowed answers a method that the path does not take.
func notAllowed(w http.ResponseWriter, allowed []string) {
	if slices.Contains(allowed, "GET") && !slices.Contains(allowed, "HEAD") {
		allowed = append(slices.Clone(allowed), "HEAD")
	}
	list := strings.Join(allowed, ", ")
	w.Header().Set("Allow", list)
	writeJSON(w, http.StatusMethodNotAllowed, problemType, plainProblem(http.StatusMethodNotAllowed, "this path takes "+list))
}
