package connectpage

import (
	"net/http"
	"strings"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/oauth/flow"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// start takes a browser to the provider.
func (p *Pages) start(w http.ResponseWriter, r *http.Request) {
	to, cookie, err := p.oauth.Starter.Open(r.Context(), r.PathValue("connector"), r.PathValue("handle"), cookieOf(r))
	if err != nil {
		showFailure(w, r, connectors.AsError(err))
		return
	}
	setCookie(w, cookie)
	redirect(w, r, to)
}

// reconnect takes a browser with a reconnect link to a new flow.
func (p *Pages) reconnect(w http.ResponseWriter, r *http.Request) {
	to, err := p.oauth.Starter.Reconnect(r.Context(), r.PathValue("connector"), r.PathValue("token"))
	if err != nil {
		showFailure(w, r, connectors.AsError(err))
		return
	}
	redirect(w, r, to)
}

// callback is the way back. The browser is sent on only to an address that the
// flow allowed, with how it went and nothing else.
func (p *Pages) callback(w http.ResponseWriter, r *http.Request) {
	outcome, failed := p.oauth.Callbacks.Handle(r.Context(), r.PathValue("connector"), r.URL.Query(), cookieOf(r))
	if outcome.Clear.Name != "" {
		outcome.Clear.Value, outcome.Clear.MaxAge = "", -1
		setCookie(w, outcome.Clear)
	}
	if to := outcome.Location(failed); to != "" {
		if failed != nil {
			problem.RecordCode(w, failed)
		}
		redirect(w, r, to)
		return
	}
	if failed != nil {
		showFailure(w, r, failed)
		return
	}
	page := content{Title: "Connected", Text: "The connection is ready. You can close this window."}
	if outcome.Status == "selection_required" {
		page = content{Title: "One more step", Text: "The account has several sites. Choose one where you began."}
	}
	render(w, http.StatusOK, "message", page)
}

// showFailure answers browsers with a page, and programs with a problem document.
func showFailure(w http.ResponseWriter, r *http.Request, e *connectors.Error) {
	w.Header().Set("Referrer-Policy", "no-referrer")
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		problem.Write(w, e)
		return
	}
	problem.RecordCode(w, e)
	code := string(e.Code)
	if e.Reason != "" {
		code += " " + e.Reason
	}
	render(w, e.Code.HTTPStatus(), "message", content{Title: "That did not work", Text: e.Message, Code: code})
}

// redirect uses 303, so that nothing of a form is ever sent on.
func redirect(w http.ResponseWriter, r *http.Request, to string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func cookieOf(r *http.Request) func(string) string {
	return func(name string) string {
		c, err := r.Cookie(name)
		if err != nil {
			return ""
		}
		return c.Value
	}
}

// setCookie sets a cookie for the whole host, which the prefix __Host- demands.
// Lax: the provider's redirect is a top-level navigation.
func setCookie(w http.ResponseWriter, c flow.Cookie) {
	age := int(c.MaxAge.Seconds())
	if c.MaxAge < 0 {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{Name: c.Name, Value: c.Value, Path: "/", MaxAge: age, HttpOnly: true, Secure: c.Secure, SameSite: http.SameSiteLaxMode})
}
