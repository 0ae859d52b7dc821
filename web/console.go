package web

import (
	"bytes"
	_ "embed"
	"net/http"
)

//go:embed console.js
var consoleScript []byte

//go:embed console.css
var consoleStyle []byte

// consolePolicy lets the console run its own script and call its own host.
const consolePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

// Console returns the operator's console, to be served below /console/: a page that
// is a client of the HTTP API at api, a path. It holds no secrets and asks for a
// token, so everybody may load it.
func Console(api string) http.Handler {
	var page bytes.Buffer
	if err := templates.ExecuteTemplate(&page, "console.html", api); err != nil {
		panic(err) // the page is a constant but for a path
	}
	files := map[string]struct {
		contentType string
		content     []byte
	}{
		"/console/":            {"text/html; charset=utf-8", page.Bytes()},
		"/console/console.js":  {"text/javascript; charset=utf-8", consoleScript},
		"/console/console.css": {"text/css; charset=utf-8", consoleStyle},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", file.contentType)
		h.Set("Content-Security-Policy", consolePolicy)
		h.Set("Cache-Control", "no-cache")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(file.content)
	})
}
