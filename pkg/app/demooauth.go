package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
)

// oauthConnection is the path of the story's connection by OAuth.
func (s *story) oauthConnection() string {
	return "/scopes/" + url.PathEscape(s.tenant.Scope) + "/" + url.PathEscape(s.tenant.Identity) + "/connections/demo-oauth"
}

// consent plays the end user: it opens the link that Hawser gives, says yes at the
// provider, and follows the way back, in one browser.
func (s *story) consent(ctx context.Context) (string, error) {
	var started struct {
		URL string `json:"authorization_url"`
	}
	if err := s.api(ctx, request{method: http.MethodPut, url: s.oauthConnection(), body: map[string]any{}, want: http.StatusOK, reply: &started}); err != nil {
		return "", err
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	browser := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	visit := func(method, to string, form url.Values, want int) (*url.URL, error) {
		req, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(form.Encode()))
		if err != nil {
			return nil, err
		}
		if form != nil {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		resp, err := browser.Do(req)
		if err != nil {
			return nil, err
		}
		defer func() { _ = resp.Body.Close() }()
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
		if resp.StatusCode != want {
			return nil, fmt.Errorf("%w: %s %s gave %d, want %d", errUnexpected, method, req.URL.Path, resp.StatusCode, want)
		}
		if want != http.StatusSeeOther {
			return nil, nil
		}
		return resp.Location()
	}
	provider, err := visit(http.MethodGet, started.URL, nil, http.StatusSeeOther)
	if err != nil {
		return "", err
	}
	callback, err := visit(http.MethodPost, provider.String(), url.Values{"decision": {"approve"}}, http.StatusSeeOther)
	if err != nil {
		return "", err
	}
	if _, err := visit(http.MethodGet, callback.String(), nil, http.StatusOK); err != nil {
		return "", err
	}
	if _, err := s.await(ctx, "event", ".oauth.completed"); err != nil {
		return "", err
	}
	if _, err := visit(http.MethodGet, callback.String(), nil, http.StatusOK); err != nil {
		return "", err
	}
	return "PKCE " + provider.Query().Get("code_challenge_method") + ", events oauth.started, oauth.completed; the callback again: the same page", nil
}

func (s *story) actionWithToken(ctx context.Context) (string, error) {
	var reply struct {
		Data struct{ Name, Email string } `json:"data"`
	}
	if err := s.api(ctx, request{method: http.MethodPost, url: s.oauthConnection() + "/actions/me", body: map[string]any{}, want: http.StatusOK, reply: &reply}); err != nil {
		return "", err
	}
	return reply.Data.Name + " <" + reply.Data.Email + ">", nil
}

// stats reads the demo provider's counters.
func (s *story) stats(ctx context.Context, counters any) error {
	return s.call(ctx, request{method: http.MethodGet, url: s.command.Provider + "/_stats", want: http.StatusOK, reply: counters})
}

func (s *story) refreshToken(ctx context.Context) (string, error) {
	var before, after struct{ Refreshes int }
	if err := s.stats(ctx, &before); err != nil {
		return "", err
	}
	if err := s.api(ctx, request{method: http.MethodPost, url: s.oauthConnection() + "/refresh", want: http.StatusOK}); err != nil {
		return "", err
	}
	if _, err := s.await(ctx, "event", ".oauth.refreshed"); err != nil {
		return "", err
	}
	if err := s.stats(ctx, &after); err != nil {
		return "", err
	}
	if after.Refreshes != before.Refreshes+1 {
		return "", fmt.Errorf("%w: the provider saw %d refreshes", errUnexpected, after.Refreshes-before.Refreshes)
	}
	return s.actionWithToken(ctx)
}

func (s *story) leaveOAuth(ctx context.Context) (string, error) {
	if err := s.api(ctx, request{method: http.MethodDelete, url: s.oauthConnection(), want: http.StatusNoContent}); err != nil {
		return "", err
	}
	var stats struct{ Revocations int }
	if err := s.stats(ctx, &stats); err != nil {
		return "", err
	}
	if stats.Revocations == 0 {
		return "", fmt.Errorf("%w: the provider counted no revocation", errUnexpected)
	}
	return "204, and the grant is revoked at the provider", nil
}
