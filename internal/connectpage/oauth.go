package connectpage

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/oauth/flow"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// start redirects a browser to the provider, and binds the flow to it.
func (p *Pages) start(w http.ResponseWriter, r *http.Request) error {
	to, cookie, err := p.oauth.Starter.Open(r.Context(), r.PathValue("connector"), r.PathValue("handle"), cookieOf(r))
	if err != nil {
		return err
	}
	setCookie(w, cookie)
	redirect(w, r, to)
	return nil
}

// reconnect redirects a browser with a reconnect link to a new flow.
func (p *Pages) reconnect(w http.ResponseWriter, r *http.Request) error {
	to, err := p.oauth.Starter.Reconnect(r.Context(), r.PathValue("connector"), r.PathValue("token"))
	if err != nil {
		return err
	}
	redirect(w, r, to)
	return nil
}

// callback handles the provider's redirect. The browser is redirected only to a return
// URL that the flow allowed, with the outcome and nothing else.
func (p *Pages) callback(w http.ResponseWriter, r *http.Request) error {
	return p.finish(w, r, r.URL.Query())
}

// postedCallback handles an authorization response that the provider's page has the browser
// post (response_mode form_post).
func (p *Pages) postedCallback(w http.ResponseWriter, r *http.Request) error {
	if !p.oauth.Callbacks.AcceptsForm(r.PathValue("connector")) {
		return connectors.Errorf(connectors.CodeConnectorOAuthTokenFailed, "the definition does not say that the provider posts its responses (response_mode: form_post)")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return connectors.Errorf(connectors.CodeConnectorOAuthStateInvalid, "the response is no form; start again")
	}
	return p.finish(w, r, r.PostForm)
}

// finish handles an authorization response.
func (p *Pages) finish(w http.ResponseWriter, r *http.Request, response url.Values) error {
	outcome, failed := p.oauth.Callbacks.Handle(r.Context(), r.PathValue("connector"), response, cookieOf(r))
	if to := outcome.Location(failed); to != "" {
		if failed != nil {
			problem.RecordCode(w, failed)
		}
		redirect(w, r, to)
		return nil
	}
	if failed != nil {
		return failed
	}
	page := content{Title: "Connected", Text: "The connection is ready. You can close this window."}
	if outcome.Status == "selection_required" {
		page = content{Title: "One more step", Text: "The account has several sites. Choose one where you began."}
	}
	page.WebhookURL = outcome.WebhookURL
	render(w, http.StatusOK, "message", page)
	return nil
}

// withErrorPage answers the error of a handler: browsers with a page, and programs with
// a problem document.
func withErrorPage(handler func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := handler(w, r)
		if err == nil {
			return
		}
		w.Header().Set("Referrer-Policy", "no-referrer")
		if !strings.Contains(r.Header.Get("Accept"), "text/html") {
			problem.Write(w, err)
			return
		}
		e := connectors.AsError(err)
		problem.RecordCode(w, e)
		code := string(e.Code)
		if e.Reason != "" {
			code += " " + e.Reason
		}
		render(w, e.Code.HTTPStatus(), "message", content{Title: "That did not work", Text: e.Message, Code: code})
	}
}

// redirect answers 303, so that a browser does not send a form on.
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

// setCookie sets a cookie for the whole host, as the prefix __Host- requires. It is Lax,
// since the provider's redirect is a top-level navigation from another site, and None where
// the provider has the browser post a form: browsers send Lax cookies with GET alone.
func setCookie(w http.ResponseWriter, c flow.Cookie) {
	age := int(c.MaxAge.Seconds())
	if c.MaxAge < 0 {
		age = -1
	}
	site := http.SameSiteLaxMode
	if c.CrossSite {
		site = http.SameSiteNoneMode
	}
	http.SetCookie(w, &http.Cookie{Name: c.Name, Value: c.Value, Path: "/", MaxAge: age, HttpOnly: true, Secure: c.Secure, SameSite: site})
}
