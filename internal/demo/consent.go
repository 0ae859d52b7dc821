package demo

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
)

//go:embed consent.html
var consentHTML string

var consentPage = template.Must(template.New("consent").Parse(consentHTML))

// consentView is what the page shows: the question, or an error.
type consentView struct {
	Nonce       string
	Client      string
	RedirectURI string
	Scopes      []string
	Users       []user
	Error       *oauthError
}

func showConsent(w http.ResponseWriter, req authorizeRequest) {
	writePage(w, http.StatusOK, consentView{
		Client: clientName, RedirectURI: req.redirectURI, Scopes: strings.Fields(req.scope), Users: users,
	})
}

func showError(w http.ResponseWriter, e *oauthError) {
	writePage(w, e.status, consentView{Error: e})
}

func writePage(w http.ResponseWriter, status int, view consentView) {
	view.Nonce = base64.RawURLEncoding.EncodeToString(randomBytes(16))
	var page bytes.Buffer
	if err := consentPage.Execute(&page, view); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	// Browsers apply form-action to every hop of the redirects that follow the
	// form, and only the client knows where they end; so any web address.
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; "+
		"form-action http: https:; style-src 'nonce-"+view.Nonce+"'")
	h.Set("X-Frame-Options", "DENY")
	// Not no-referrer, which makes browsers post the form with "Origin: null".
	h.Set("Referrer-Policy", "same-origin")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w)
}
