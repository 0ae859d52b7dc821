package connectpage

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/oauth/flow"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// maxForm bounds the body of a form.
const maxForm = 256 << 10

// sessionStatus is for the program that made the link: it polls until the user has
// connected.
func (p *Pages) sessionStatus(w http.ResponseWriter, r *http.Request) {
	s, err := p.oauth.Sessions.Get(r.Context(), r.PathValue("token"))
	if err != nil {
		problem.Write(w, err)
		return
	}
	problem.WriteJSON(w, http.StatusOK, struct {
		Status    string `json:"status"`
		Connector string `json:"connector,omitempty"`
		Code      string `json:"code,omitempty"`
	}{s.Status, s.Connector, s.Code})
}

// showSession shows the next step of a session.
func (p *Pages) showSession(w http.ResponseWriter, r *http.Request) error {
	s, err := p.oauth.Sessions.Get(r.Context(), r.PathValue("token"))
	if err == nil {
		err = p.oauth.Sessions.Check(s, cookieOf(r))
	}
	if err != nil {
		return err
	}
	allowed := p.oauth.Sessions.Connectors(s)
	chosen := r.URL.Query().Get("choice")
	switch {
	case s.Status == flow.SessionConnected:
		render(w, http.StatusOK, "message", connected(s))
	case s.Status == flow.SessionSelecting:
		return p.showSites(w, r, s)
	case len(allowed) == 1:
		form{session: s, connector: allowed[0]}.render(w)
	case chosen != "":
		for _, c := range allowed {
			if c.Key == chosen {
				form{session: s, connector: c}.render(w)
				return nil
			}
		}
		return connectors.Errorf(connectors.CodeForbidden, "this link is for other connectors")
	default:
		page := content{Title: "Connect an account", Text: "What do you want to connect?", Tenant: tenantLine(s), Action: r.URL.Path}
		for _, c := range allowed {
			page.Options = append(page.Options, option{Value: c.Key, Label: nameOf(c), Description: c.Metadata.Description})
		}
		render(w, http.StatusOK, "choose", page)
	}
	return nil
}

// bindSession returns the session of the path, and binds it to the browser that first
// submits its page.
func (p *Pages) bindSession(w http.ResponseWriter, r *http.Request) (*records.Session, error) {
	s, err := p.oauth.Sessions.Get(r.Context(), r.PathValue("token"))
	if err != nil {
		return nil, err
	}
	cookie, err := p.oauth.Sessions.Bind(r.Context(), s, cookieOf(r))
	if err == nil && cookie.Name != "" {
		setCookie(w, cookie)
	}
	return s, err
}

// submitSession handles what the user chose or entered. Its cookie is Lax, and posts
// from other sites are refused by their origin too.
func (p *Pages) submitSession(w http.ResponseWriter, r *http.Request) error {
	s, err := p.bindSession(w, r)
	if err != nil {
		return err
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return problem.Invalid("", "the form could not be read")
	}
	choice := r.PostForm.Get("choice")
	switch {
	case s.Status == flow.SessionSelecting:
		if err := p.oauth.Sessions.Select(r.Context(), s, choice); err != nil {
			return err
		}
		finish(w, s, "")
	case r.PostForm.Get("connector") == "":
		redirect(w, r, r.URL.Path+"?choice="+url.QueryEscape(choice))
	default:
		return p.connect(w, r, s)
	}
	return nil
}

// connect connects by the config that was entered.
func (p *Pages) connect(w http.ResponseWriter, r *http.Request, s *records.Session) error {
	def, err := p.service.Connector(r.PostForm.Get("connector"))
	if err != nil {
		return err
	}
	next, webhookURL, err := p.oauth.Sessions.Connect(r.Context(), s, def.Key, configOf(def, r.PostForm))
	switch {
	case errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorConfigInvalid}):
		form{session: s, connector: def, entered: r.PostForm, err: connectors.AsError(err)}.render(w)
	case err != nil:
		return err
	case next != "":
		// A link, not a redirect: the content security policy of the page that was posted
		// from allows redirects of a form to our own host only.
		render(w, http.StatusOK, "message", content{
			Title: "Connect " + nameOf(def), Text: "You are about to give access to your account at " + nameOf(def) + ".",
			Tenant: tenantLine(s), Link: next, LinkText: "Continue",
		})
	default:
		finish(w, s, webhookURL)
	}
	return nil
}

// finish shows the end of a session, with a link to its return URL, and the webhook URL of the
// new connection: it is shown nowhere later.
func finish(w http.ResponseWriter, s *records.Session, webhookURL string) {
	page := connected(s)
	outcome := flow.Outcome{Status: "success", Connector: s.Connector, ReturnURL: s.ReturnURL}
	if to := outcome.Location(nil); to != "" {
		page = content{Title: "Connected", Text: "The connection is ready.", Link: to, LinkText: "Go back"}
	}
	page.WebhookURL = webhookURL
	render(w, http.StatusOK, "message", page)
}

func connected(s *records.Session) content {
	return content{Title: "Connected", Text: "The connection is ready. You can close this window.", Tenant: tenantLine(s)}
}

func (p *Pages) showSites(w http.ResponseWriter, r *http.Request, s *records.Session) error {
	sites, err := p.oauth.Sessions.Sites(r.Context(), s)
	if err != nil {
		return err
	}
	page := content{Title: "Choose a site", Text: "The account has several sites. Which one do you want to connect?", Tenant: tenantLine(s), Action: r.URL.Path}
	for _, site := range sites {
		page.Options = append(page.Options, option{Value: site.ID, Label: site.Name, Description: site.URL})
	}
	render(w, http.StatusOK, "choose", page)
	return nil
}

func tenantLine(s *records.Session) string { return "For " + s.Scope + " " + s.Identity }

func nameOf(c *connectors.Connector) string {
	if c.Metadata.Name != "" {
		return c.Metadata.Name
	}
	return c.Key
}
