package ingress

import (
	"context"
	"net/http"
	"net/url"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/oauth"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/web"
)

// createSession makes a link for an end user's browser.
func (i *Ingress) createSession(ctx context.Context, p params) (any, error) {
	return i.OAuth.CreateSession(ctx, oauth.SessionInput{
		Tenant: p.tenant(), Connectors: p.Connectors, Account: p.Account, ReturnURL: p.ReturnURL,
	})
}

// sessionStatus is for the program that made the link: it asks until the user is done.
func (i *Ingress) sessionStatus(w http.ResponseWriter, r *http.Request) {
	s, err := i.OAuth.Session(r.Context(), r.PathValue("token"))
	if err != nil {
		writeProblem(w, connectors.AsError(err))
		return
	}
	writeJSON(w, http.StatusOK, jsonType, struct {
		Status    string `json:"status"`
		Connector string `json:"connector,omitempty"`
		Code      string `json:"code,omitempty"`
	}{s.Status, s.Connector, s.Code})
}

// openSession shows what the session's user has to do next.
func (i *Ingress) openSession(w http.ResponseWriter, r *http.Request) {
	s, ok := i.enter(w, r)
	if !ok {
		return
	}
	offers := i.OAuth.Offers(s)
	chosen := r.URL.Query().Get("choice")
	switch {
	case s.Status == oauth.SessionConnected:
		web.Render(w, http.StatusOK, "message", finished(s))
	case s.Status == oauth.SessionSelecting:
		i.showSites(w, r, s)
	case len(offers) == 1:
		showForm(w, s, offers[0], nil, nil)
	case chosen != "":
		for _, c := range offers {
			if c.Key == chosen {
				showForm(w, s, c, nil, nil)
				return
			}
		}
		i.showFailure(w, r, connectors.Errorf(connectors.CodeForbidden, "this link is not for that"))
	default:
		page := web.Page{Title: "Connect an account", Text: "What do you want to connect?", Tenant: forWhom(s), Action: r.URL.Path}
		for _, c := range offers {
			page.Options = append(page.Options, web.Option{Value: c.Key, Label: nameOf(c), Description: c.Metadata.Description})
		}
		web.Render(w, http.StatusOK, "choose", page)
	}
}

// enter lets the session's own browser in.
func (i *Ingress) enter(w http.ResponseWriter, r *http.Request) (*connection.Session, bool) {
	s, err := i.OAuth.Session(r.Context(), r.PathValue("token"))
	var cookie oauth.Cookie
	if err == nil {
		cookie, err = i.OAuth.Enter(r.Context(), s, cookieOf(r))
	}
	if err != nil {
		i.showFailure(w, r, connectors.AsError(err))
		return nil, false
	}
	if cookie.Name != "" {
		setCookie(w, cookie)
	}
	return s, true
}

// maxForm bounds what a form may hold.
const maxForm = 256 << 10

// answerSession takes what the user chose or entered. Its cookie is Lax, and other
// sites' posts are refused by their origin besides.
func (i *Ingress) answerSession(w http.ResponseWriter, r *http.Request) {
	s, ok := i.enter(w, r)
	if !ok {
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		i.showFailure(w, r, invalid("", "the form could not be read"))
		return
	}
	form := r.PostForm
	switch {
	case s.Status == oauth.SessionSelecting:
		if err := i.OAuth.SessionSelect(r.Context(), s, form.Get("choice")); err != nil {
			i.showFailure(w, r, connectors.AsError(err))
			return
		}
		i.leave(w, r, s)
	case form.Get("connector") == "":
		redirect(w, r, r.URL.Path+"?choice="+url.QueryEscape(form.Get("choice")))
	default:
		i.connectSession(w, r, s, form)
	}
}

func (i *Ingress) connectSession(w http.ResponseWriter, r *http.Request, s *connection.Session, form url.Values) {
	def, err := i.Service.Connector(form.Get("connector"))
	if err != nil {
		i.showFailure(w, r, connectors.AsError(err))
		return
	}
	next, err := i.OAuth.SessionConnect(r.Context(), s, def.Key, configOf(def, form))
	if err != nil {
		e := connectors.AsError(err)
		if e.Code == connectors.CodeConnectorConfigInvalid {
			showForm(w, s, def, form, e)
			return
		}
		i.showFailure(w, r, e)
		return
	}
	if next != "" {
		// A link, not a redirect: the policy of the page that was posted from would
		// hold the form to our own host.
		web.Render(w, http.StatusOK, "message", web.Page{
			Title: "Connect " + nameOf(def), Text: "You are about to give access to your account at " + nameOf(def) + ".",
			Tenant: forWhom(s), Link: next, LinkText: "Continue",
		})
		return
	}
	i.leave(w, r, s)
}

// leave ends the session's way.
func (i *Ingress) leave(w http.ResponseWriter, r *http.Request, s *connection.Session) {
	outcome := oauth.Outcome{Status: "success", Connector: s.Connector, ReturnURL: s.ReturnURL}
	if to := outcome.Location(nil); to != "" {
		web.Render(w, http.StatusOK, "message", web.Page{Title: "Connected", Text: "The connection is ready.", Link: to, LinkText: "Go back"})
		return
	}
	web.Render(w, http.StatusOK, "message", finished(s))
}

func finished(s *connection.Session) web.Page {
	return web.Page{Title: "Connected", Text: "The connection is ready. You can close this window.", Tenant: forWhom(s)}
}

func (i *Ingress) showSites(w http.ResponseWriter, r *http.Request, s *connection.Session) {
	sites, err := i.OAuth.SessionSites(r.Context(), s)
	if err != nil {
		i.showFailure(w, r, connectors.AsError(err))
		return
	}
	page := web.Page{Title: "Choose a site", Text: "The account has several sites. Which one is it about?", Tenant: forWhom(s), Action: r.URL.Path}
	for _, site := range sites {
		page.Options = append(page.Options, web.Option{Value: site.ID, Label: site.Name, Description: site.URL})
	}
	web.Render(w, http.StatusOK, "choose", page)
}

func forWhom(s *connection.Session) string { return "For " + s.Scope + " " + s.Identity }

func nameOf(c *connectors.Connector) string {
	if c.Metadata.Name != "" {
		return c.Metadata.Name
	}
	return c.Key
}
