package connectpage

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"slices"
)

//go:embed *.html
var pages embed.FS

//go:embed hawser.css
var style []byte

var templates = template.Must(template.ParseFS(pages, "*.html"))

// policy lets a page show itself and its style sheet, and nothing else. It has no
// form-action for other hosts: a page that leads to a provider has a plain link.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// stylePath is where the style sheet is served.
const stylePath = "/connect/hawser.css"

// content is what the pages show.
type content struct {
	Title, Text string
	Code        string // of an error
	Tenant      string // for whom the account is connected
	Options     []option
	Fields      []field
	Connector   string // whose form it is
	Action      string // where the form goes; "" for no form
	Link        string // where to go on
	LinkText    string
	WebhookURL  string // of a new connection, shown once
}

// option is a choice of a form or of a field.
type option struct{ Value, Label, Description string }

// field is an input of a form. Type is text, password, number, checkbox, select,
// multiselect or textarea. Only a multiselect has several values.
type field struct {
	Name, Label, Type, Description string
	Help, Placeholder              string // a URL; what a value looks like
	Values                         []string
	Required                       bool
	Options                        []option
	Error                          string
}

// Value returns the first value, or "".
func (f field) Value() string {
	if len(f.Values) == 0 {
		return ""
	}
	return f.Values[0]
}

// Chosen reports whether the value is one of the field's.
func (f field) Chosen(value string) bool { return slices.Contains(f.Values, value) }

// render writes a page. It is not stored, not framed, and sends no referrer.
func render(w http.ResponseWriter, status int, name string, p content) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name+".html", p); err != nil {
		http.Error(w, "the page could not be shown", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

// serveStyle serves the style sheet.
func serveStyle(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(style)
}
