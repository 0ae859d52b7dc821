// Package console is the operator's console: a page that is a client of the HTTP API.
package console

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
)

//go:embed console.js console.css
var files embed.FS

//go:embed console.html
var page string

// policy lets the console run its own script and call its own host.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

// Register adds the console to mux, below /console/. api is the path of the HTTP API.
// The console has no secrets and asks for a token, so it is served to everybody.
func Register(mux *http.ServeMux, api string) {
	var index bytes.Buffer
	if err := template.Must(template.New("").Parse(page)).Execute(&index, api); err != nil {
		panic(err) // the page is a constant but for a path
	}
	mux.Handle("GET /console", http.RedirectHandler("/console/", http.StatusMovedPermanently))
	mux.HandleFunc("GET /console/{$}", serve("text/html", index.Bytes()))
	for name, contentType := range map[string]string{"console.js": "text/javascript", "console.css": "text/css"} {
		content, err := files.ReadFile(name)
		if err != nil {
			panic(err) // embedded
		}
		mux.HandleFunc("GET /console/"+name, serve(contentType, content))
	}
}

func serve(contentType string, content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType+"; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("Cache-Control", "no-cache")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(content)
	}
}
