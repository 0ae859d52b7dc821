package connectpage

import (
	"net/http"
	"net/url"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/oauth/flow"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// sessionStatus is for the program that made the link: it asks until the user is done.
func (p *Pages) sessionStatus(w http.ResponseWriter, r *http.Request) {
	s, err := p.oauth.Sessions.Get(r.Context(), r.PathValue("token"))
	if err != nil {
		problem.Write(w, connectors.AsError(err))
		return
	}
	problem.WriteJSON(w, http.StatusOK, struct {
		Status    string `json:"status"`
		Connector string `json:"connector,omitempty"`
		Code      string `json:"code,omitempty"`
	}{s.Status, s.Connector, s.Code})
}

// openSession shows what the session's user has to do next.
func (p *Pages) openSession(w http.ResponseWriter, r *http.Request) {
	s, ok := p.enter(w, r)
	if !ok {
		return
	}
	offers := p.oauth.Sessions.Connectors(s)
	chosen := r.URL.Query().Get("choice")
	switch {
	case s.Status == flow.SessionConnected:
		render(w, http.StatusOK, "message", finished(s))
	case s.Status == flow.SessionSelecting:
		p.showSites(w, r, s)
	case len(offers) == 1:
		showForm(w, s, offers[0], nil, nil)
	case chosen != "":
		for _, c := range offers {
			if c.Key == chosen {
				showForm(w, s, c, nil, nil)
				return
			}
		}
		showFailure(w, r, connectors.Errorf(connectors.CodeForbidden, "this link is not for that"))
	default:
		page := content{Title: "Connect an account", Text: "What do you want to connect?", Tenant: forWhom(s), Action: r.URL.Path}
		for _, c := range offers {
			page.Options = append(page.Options, option{Value: c.Key, Label: nameOf(c), Description: c.Metadata.Description})
		}
		render(w, http.StatusOK, "choose", page)
	}
}

// enter lets the session's own browser in.
func (p *Pages) enter(w http.ResponseWriter, r *http.Request) (*records.Session, bool) {
	s, err := p.oauth.Sessions.Get(r.Context(), r.PathValue("token"))
	var cookie flow.Cookie
	if err == nil {
		cookie, err = p.oauth.Sessions.Open(r.Context(), s, cookieOf(r))
	}
	if err != nil {
		showFailure(w, r, connectors.AsError(err))
		return nil, false
	}
	if cookie.Name != "" {
		setCookie(w, cookie)
	}
	return s, true
}

// maxForm bounds what a form may hold.
const maxForm = 256 << 10

// submitSession takes what the user chose or entered. Its cookie is Lax, and other
// sites' posts are refused by their origin besides.
func (p *Pages) submitSession(w http.ResponseWriter, r *http.Request) {
	s, ok := p.enter(w, r)
	if !ok {
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		showFailure(w, r, problem.Invalid("", "the form could not be read"))
		return
	}
	form := r.PostForm
	switch {
	case s.Status == flow.SessionSelecting:
		if err := p.oauth.Sessions.Select(r.Context(), s, form.Get("choice")); err != nil {
			showFailure(w, r, connectors.AsError(err))
			return
		}
		p.leave(w, r, s)
	case form.Get("connector") == "":
		redirect(w, r, r.URL.Path+"?choice="+url.QueryEscape(form.Get("choice")))
	default:
		p.connectSession(w, r, s, form)
	}
}

func (p *Pages) connectSession(w http.ResponseWriter, r *http.Request, s *records.Session, form url.Values) {
	def, err := p.service.Connector(form.Get("connector"))
	if err != nil {
		showFailure(w, r, connectors.AsError(err))
		return
	}
	next, err := p.oauth.Sessions.Connect(r.Context(), s, def.Key, configOf(def, form))
	if err != nil {
		e := connectors.AsError(err)
		if e.Code == connectors.CodeConnectorConfigInvalid {
			showForm(w, s, def, form, e)
			return
		}
		showFailure(w, r, e)
		return
	}
	if next != "" {
		// A link, not a redirect: the policy of the page that was posted from would
		// hold the form to our own host.
		render(w, http.StatusOK, "message", content{
			Title: "Connect " + nameOf(def), Text: "You are about to give access to your account at " + nameOf(def) + ".",
			Tenant: forWhom(s), Link: next, LinkText: "Continue",
		})
		return
	}
	p.leave(w, r, s)
}

// leave ends the session's way.
func (p *Pages) leave(w http.ResponseWriter, r *http.Request, s *records.Session) {
	outcome := flow.Outcome{Status: "success", Connector: s.Connector, ReturnURL: s.ReturnURL}
	if to := outcome.Location(nil); to != "" {
		render(w, http.StatusOK, "message", content{Title: "Connected", Text: "The connection is ready.", Link: to, LinkText: "Go back"})
		return
	}
	render(w, http.StatusOK, "message", finished(s))
}

func finished(s *records.Session) content {
	return content{Title: "Connected", Text: "The connection is ready. You can close this window.", Tenant: forWhom(s)}
}

func (p *Pages) showSites(w http.ResponseWriter, r *http.Request, s *records.Session) {
	sites, err := p.oauth.Sessions.Sites(r.Context(), s)
	if err != nil {
		showFailure(w, r, connectors.AsError(err))
		return
	}
	page := content{Title: "Choose a site", Text: "The account has several sites. Which one is it about?", Tenant: forWhom(s), Action: r.URL.Path}
	for _, site := range sites {
		page.Options = append(page.Options, option{Value: site.ID, Label: site.Name, Description: site.URL})
	}
	render(w, http.StatusOK, "choose", page)
}

func forWhom(s *records.Session) string { return "For " + s.Scope + " " + s.Identity }

func nameOf(c *connectors.Connector) string {
	if c.Metadata.Name != "" {
		return c.Metadata.Name
	}
	return c.Key
}
