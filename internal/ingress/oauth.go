package ingress

import (
	"context"
	"net/http"
	"strings"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/oauth"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
	"github.com/hawser-io/hawser/web"
)

// connect is three things, by the connector's kind: a flow's start, a connection by
// client credentials, or one by its config alone.
func (i *Ingress) connect(ctx context.Context, p params) (any, error) {
	in := connection.ConnectInput{Config: p.Config, Tags: p.Tags, Replace: p.Replace}
	def, err := i.Service.Connector(p.Connector)
	if err != nil {
		return nil, err
	}
	switch {
	case def.Auth.Kind == connectors.AuthOAuth2:
		return i.OAuth.Start(ctx, p.ref(), oauth.StartInput{ConnectInput: in, Scopes: p.Scopes, ReturnURL: p.ReturnURL})
	case def.Auth.OAuth2 != nil:
		return i.OAuth.Connect(ctx, p.ref(), in)
	}
	return i.Service.Connect(ctx, p.ref(), in)
}

func (i *Ingress) disconnect(ctx context.Context, p params) (any, error) {
	return nil, i.OAuth.Disconnect(ctx, p.ref())
}

func (i *Ingress) resolve(ctx context.Context, p params) (any, error) {
	return i.OAuth.Resolve(ctx, p.ref())
}

func (i *Ingress) refresh(ctx context.Context, p params) (any, error) {
	return i.OAuth.Refresh(ctx, p.ref())
}

func (i *Ingress) selectSite(ctx context.Context, p params) (any, error) {
	if p.ResourceID == "" {
		return nil, invalid("resource_id", "is required")
	}
	return i.OAuth.Select(ctx, p.ref(), p.ResourceID)
}

// An app belongs to a connector, or to a family of them.
func (i *Ingress) setApp(ctx context.Context, p params) (any, error) {
	secrets := p.ClientSecrets
	if !p.ClientSecret.IsZero() {
		secrets = append([]secret.Text{p.ClientSecret}, secrets...)
	}
	app := connection.App{ClientID: p.ClientID, ClientSecrets: secrets, Scopes: p.Scopes, ExtraParams: p.ExtraParams}
	if err := i.Apps.Set(ctx, p.Connector, app); err != nil {
		return nil, err
	}
	return i.Apps.View(ctx, p.Connector)
}

func (i *Ingress) getApp(ctx context.Context, p params) (any, error) {
	return i.Apps.View(ctx, p.Connector)
}

func (i *Ingress) deleteApp(ctx context.Context, p params) (any, error) {
	return nil, i.Apps.Delete(ctx, p.Connector)
}

// startOAuth takes a browser to the provider.
func (i *Ingress) startOAuth(w http.ResponseWriter, r *http.Request) {
	to, cookie, err := i.OAuth.Open(r.Context(), r.PathValue("connector"), r.PathValue("handle"), cookieOf(r))
	if err != nil {
		i.showFailure(w, r, connectors.AsError(err))
		return
	}
	setCookie(w, cookie)
	redirect(w, r, to)
}

// reconnectOAuth takes a browser with a reconnect link to a new flow.
func (i *Ingress) reconnectOAuth(w http.ResponseWriter, r *http.Request) {
	to, err := i.OAuth.Reconnect(r.Context(), r.PathValue("connector"), r.PathValue("token"))
	if err != nil {
		i.showFailure(w, r, connectors.AsError(err))
		return
	}
	redirect(w, r, to)
}

// callbackOAuth is the way back. The browser is sent on only to an address that the
// flow allowed, with how it went and nothing else.
func (i *Ingress) callbackOAuth(w http.ResponseWriter, r *http.Request) {
	outcome, failed := i.OAuth.Callback(r.Context(), r.PathValue("connector"), r.URL.Query(), cookieOf(r))
	if outcome.Clear.Name != "" {
		outcome.Clear.Value, outcome.Clear.MaxAge = "", -1
		setCookie(w, outcome.Clear)
	}
	if to := outcome.Location(failed); to != "" {
		if failed != nil {
			note(w, failed)
		}
		redirect(w, r, to)
		return
	}
	if failed != nil {
		i.showFailure(w, r, failed)
		return
	}
	page := web.Page{Title: "Connected", Text: "The connection is ready. You can close this window."}
	if outcome.Status == "selection_required" {
		page = web.Page{Title: "One more step", Text: "The account has several sites. Choose one where you began."}
	}
	web.Render(w, http.StatusOK, "message", page)
}

// showFailure answers browsers with a page, and programs with a problem document.
func (i *Ingress) showFailure(w http.ResponseWriter, r *http.Request, e *connectors.Error) {
	w.Header().Set("Referrer-Policy", "no-referrer")
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		writeProblem(w, e)
		return
	}
	note(w, e)
	code := string(e.Code)
	if e.Reason != "" {
		code += " " + e.Reason
	}
	web.Render(w, e.Code.HTTPStatus(), "message", web.Page{Title: "That did not work", Text: e.Message, Code: code})
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
func setCookie(w http.ResponseWriter, c oauth.Cookie) {
	age := int(c.MaxAge.Seconds())
	if c.MaxAge < 0 {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{Name: c.Name, Value: c.Value, Path: "/", MaxAge: age, HttpOnly: true, Secure: c.Secure, SameSite: http.SameSiteLaxMode})
}
