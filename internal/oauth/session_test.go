package oauth_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
)

type sessionReply struct {
	Token, URL string
}

func (in *installation) session(body map[string]any) sessionReply {
	in.t.Helper()
	body["scope"], body["identity"] = "organization", "acme"
	var made sessionReply
	if status, problem := in.call(http.MethodPost, "/connect-sessions", body, &made); status != http.StatusCreated {
		in.t.Fatalf("make a session: got %d %v, want 201", status, &problem)
	}
	return made
}

var linkPattern = regexp.MustCompile(`class="button"[^>]* href="([^"]+)"`)

func linkOf(t testing.TB, page string) string {
	t.Helper()
	found := linkPattern.FindStringSubmatch(page)
	if found == nil {
		t.Fatalf("the page has no link:\n%s", page)
	}
	return strings.ReplaceAll(found[1], "&amp;", "&")
}

func TestASessionLeadsThroughChoiceConsentAndSite(t *testing.T) {
	t.Parallel()
	in, _ := withDemo(t, nil)
	in.setApp("demo-oauth", records.App{ClientID: demoApp.ClientID, ClientSecrets: demoApp.ClientSecrets, Scopes: []string{"read", "profile", "multi"}})
	made := in.session(map[string]any{"connectors": []string{"demo-oauth", "demo-key"}})
	b := testenv.NewBrowser(t)
	if status, _, body := b.Get(made.URL); status != http.StatusOK || !strings.Contains(body, "Demo (API key)") || !strings.Contains(body, "For organization acme") {
		t.Fatalf("the link: got %d\n%s", status, body)
	}
	status, next, _ := b.Post(made.URL, url.Values{"choice": {"demo-oauth"}})
	if status != http.StatusSeeOther || !strings.HasSuffix(next, "?choice=demo-oauth") {
		t.Fatalf("choice: got %d to %s, want the form", status, next)
	}
	status, _, body := b.Post(made.URL, url.Values{"connector": {"demo-oauth"}})
	if status != http.StatusOK {
		t.Fatalf("form: got %d\n%s", status, body)
	}
	callback := in.consent(b, linkOf(t, body), approve)
	if status, _, body := b.Get(callback); status != http.StatusOK || !strings.Contains(body, "several sites") {
		t.Fatalf("callback: got %d\n%s", status, body)
	}
	if status, _, body := b.Get(made.URL); status != http.StatusOK || !strings.Contains(body, "site-lighthouse") {
		t.Fatalf("sites: got %d\n%s", status, body)
	}
	if status, _, body := b.Post(made.URL, url.Values{"choice": {"site-lighthouse"}}); status != http.StatusOK || !strings.Contains(body, "Connected") {
		t.Fatalf("select: got %d\n%s", status, body)
	}
	if c := in.demoConnection(); c.State != records.Active || c.Resource == nil || c.Resource.ID != "site-lighthouse" {
		t.Errorf("got %+v, want active at the chosen site", c)
	}
	if _, _, body := b.Get(made.URL + "/status"); !strings.Contains(body, `"status":"connected"`) {
		t.Errorf("status: got %s, want connected", body)
	}
	if status, _, body := b.Post(made.URL, url.Values{"connector": {"demo-key"}, "config.apiKey": {"demo_x"}}); status != http.StatusBadRequest || !strings.Contains(body, "replayed") {
		t.Errorf("a second connection: got %d %s, want replayed", status, body)
	}
}

// A user who goes back and starts again has two authorisations, of which one leads to a
// connection.
func TestTheLastFlowOfASessionIsAccepted(t *testing.T) {
	t.Parallel()
	in, p := withDemo(t, nil)
	made := in.session(map[string]any{"connectors": []string{"demo-oauth"}})
	b := testenv.NewBrowser(t)
	b.Get(made.URL)
	var callbacks []string
	for range 2 {
		_, _, body := b.Post(made.URL, url.Values{"connector": {"demo-oauth"}})
		callbacks = append(callbacks, in.consent(b, linkOf(t, body), approve))
	}
	in.expectRefused(b, p, callbacks[0], "replayed")
	if status, _, body := b.Get(callbacks[1]); status != http.StatusOK {
		t.Fatalf("the last: got %d\n%s", status, body)
	}
	if c := in.demoConnection(); c.State != records.Active {
		t.Errorf("the connection is %s", c.State)
	}
	if _, _, body := b.Get(made.URL + "/status"); !strings.Contains(body, `"status":"connected"`) {
		t.Errorf("status: got %s, want connected", body)
	}
}

func TestASessionBelongsToItsBrowserAndItsConnectors(t *testing.T) {
	t.Parallel()
	in, _ := withDemo(t, nil)
	made := in.session(map[string]any{"connectors": []string{"demo-oauth"}})
	b := testenv.NewBrowser(t)
	if status, _, _ := b.Get(made.URL); status != http.StatusOK {
		t.Fatalf("first browser: got %d", status)
	}
	if status, _, _ := testenv.NewBrowser(t).Get(made.URL); status != http.StatusOK {
		t.Errorf("a second browser, before the first has posted: got %d", status)
	}
	b.Post(made.URL, url.Values{"choice": {"demo-oauth"}})
	if status, _, body := testenv.NewBrowser(t).Get(made.URL); status != http.StatusBadRequest || !strings.Contains(body, "wrong_browser") {
		t.Errorf("second browser: got %d %s, want wrong_browser", status, body)
	}
	if status, _, body := b.Post(made.URL, url.Values{"connector": {"demo-key"}}); status != http.StatusForbidden {
		t.Errorf("another connector: got %d %s, want 403", status, body)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, made.URL, strings.NewReader("connector=demo-oauth"))
	must(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	if status, _, _ := b.Send(req); status != http.StatusForbidden {
		t.Errorf("a post from elsewhere: got %d, want 403", status)
	}
	if status, _, body := b.Get(in.url[:strings.Index(in.url, "/api")] + "/connect/" + strings.Repeat("A", 43)); status != http.StatusBadRequest {
		t.Errorf("an unknown link: got %d %s, want 400", status, body)
	}
	resp, err := b.Client.Get(made.URL)
	must(t, err)
	_ = resp.Body.Close()
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || resp.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("headers: got %v, want a strict policy and no referrer", resp.Header)
	}
}

func TestASessionExpires(t *testing.T) {
	t.Parallel()
	clock := newClock()
	in, _ := withDemo(t, clock.options())
	made := in.session(map[string]any{"connectors": []string{"demo-oauth"}})
	b := testenv.NewBrowser(t)
	if status, _, body := b.Get(made.URL); status != http.StatusOK {
		t.Fatalf("the link: got %d %s", status, body)
	}
	clock.advance(records.SessionLife)
	if status, _, body := b.Get(made.URL); status != http.StatusBadRequest || !strings.Contains(body, "expired") {
		t.Errorf("later: got %d %s, want expired", status, body)
	}
	if status, _, body := b.Post(made.URL, url.Values{"connector": {"demo-oauth"}}); status != http.StatusBadRequest || !strings.Contains(body, "expired") {
		t.Errorf("connecting later: got %d %s, want expired", status, body)
	}
}

func TestAnOnlySiteIsChosenAutomatically(t *testing.T) {
	t.Parallel()
	in, _ := withDemo(t, nil)
	in.connectDemo()
	if c := in.demoConnection(); c.State != records.Active || c.Resource == nil || len(c.Resources) != 0 {
		t.Errorf("got %s with %v of %v, want active at the only site", c.State, c.Resource, c.Resources)
	}
}

func TestSiteSelectionIsNeverSilent(t *testing.T) {
	t.Parallel()
	in, _ := withDemo(t, nil)
	b := testenv.NewBrowser(t)
	_, location, _ := b.Get(in.begin(b, onDemo, map[string]any{"scopes": []string{"read", "multi"}, "return_url": in.url + "/done"}, approve))
	if !strings.Contains(location, "status=selection_required") {
		t.Errorf("callback: got %s, want selection_required", location)
	}
	status, problem := in.call(http.MethodPost, onDemo+"/resolve", nil, nil)
	if status != http.StatusConflict || problem.Code != "CONNECTOR_OAUTH_SITE_SELECTION_REQUIRED" || len(problem.Errors) != 3 {
		t.Errorf("resolve: got %d %s with %v, want 409 with three sites", status, problem.Code, problem.Errors)
	}
	if status, _ := in.call(http.MethodPost, onDemo+"/select", map[string]any{"resource_id": "site-expectNoSecrets"}, nil); status != http.StatusBadRequest {
		t.Errorf("an unknown site: got %d, want 400", status)
	}
	var v connection.View
	in.call(http.MethodPost, onDemo+"/select", map[string]any{"resource_id": "site-harbour"}, &v)
	if v.State != records.Active || v.Resource.ID != "site-harbour" || len(v.Resources) != 0 {
		t.Errorf("select: got %+v, want active at the site", v)
	}
	kinds := strings.Join(in.kinds(), " ")
	if !strings.HasPrefix(kinds, "oauth.started oauth.completed oauth.selection_required") || !strings.HasSuffix(kinds, "connector.connected") {
		t.Errorf("events: got %s", kinds)
	}
}

func TestTheWebhookURLIsShownOnceAfterConnectingByALink(t *testing.T) {
	t.Parallel()
	in, _ := withDemo(t, nil)
	made := in.session(map[string]any{"connectors": []string{"demo-key"}})
	in.runExecutor(t)
	b := testenv.NewBrowser(t)
	status, _, body := b.Post(made.URL, url.Values{"connector": {"demo-key"}, "config.apiKey": {"demo_x"}})
	if status != http.StatusOK || !regexp.MustCompile(`/connectors/demo-key/webhook/[0-9a-f]{48}<`).MatchString(body) {
		t.Errorf("got %d\n%s\nwant the webhook URL", status, body)
	}
	if _, _, body := b.Get(made.URL); strings.Contains(body, "/webhook/") || !strings.Contains(body, "Connected") {
		t.Errorf("later: %s", body)
	}
}
