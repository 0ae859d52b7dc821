package oauth

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// maxRevocations is how often a grant is tried to be revoked; with the backoff
// that is some three hours.
const maxRevocations = 20

// Revoke tries to have a grant revoked that nobody uses any more, and forgets it
// when that is done or has come to nothing for good. Else it comes back by its
// timer. A grant that somebody has authorised anew meanwhile stays.
func (t *Tokens) Revoke(ctx context.Context, g *records.Grant) error {
	if g.State != records.GrantUnused || g.Revocation == nil {
		return nil
	}
	failed := t.revokeGrant(ctx, g)
	if failed != nil && failed.again && g.Revocation.Tries+1 < maxRevocations {
		g.Revocation.Tries++
		g.RetryAt = t.opts.Now().Add(backoff(g.Revocation.Tries, failed.retryAfter)).UTC()
		if err := t.Queue.ScheduleRefresh(ctx, g.Key(), g.RetryAt); err != nil {
			return err
		}
		return ignoreConflict(t.Grants.Save(ctx, g))
	}
	if err := t.Grants.Delete(ctx, g); err != nil {
		return ignoreConflict(err)
	}
	if failed != nil {
		t.opts.Log.Warn().Str("connector", g.Connector).Int("tries", g.Revocation.Tries+1).
			Msg("a grant could not be revoked at the provider; it was forgotten here")
		c := &records.Connection{Scope: g.Scope, Identity: g.Identity, Connector: g.Connector, Account: g.Revocation.Account}
		t.Service.Announce(ctx, events.OAuthFailed, c, events.Data{
			Operation: "revoke", ErrorCode: string(connectors.CodeConnectorOAuthTokenFailed), ErrorMessage: failed.Error(),
		})
	}
	return nil
}

// ignoreConflict: somebody has authorised the grant anew, or revoked it.
func ignoreConflict(err error) error {
	if errors.Is(err, records.ErrConflict) || errors.Is(err, records.ErrNotFound) {
		return nil
	}
	return err
}

// unrevoked is a revocation that failed. It holds nothing that the provider wrote.
type unrevoked struct {
	again      bool // it may help to try again
	retryAfter time.Duration
}

func (*unrevoked) Error() string {
	return "the provider could not be told that its tokens are no longer used; they end by themselves, or in the provider's settings"
}

func (t *Tokens) revokeGrant(ctx context.Context, g *records.Grant) *unrevoked {
	config, err := t.Grants.RevocationConfig(g)
	if err != nil {
		t.problem(err)
		return &unrevoked{}
	}
	opened, err := t.Grants.Open(g)
	if err != nil {
		t.problem(err)
		return &unrevoked{}
	}
	def, err := t.connectorOf(g)
	if err != nil {
		return &unrevoked{again: true} // its definition may come back
	}
	app, err := t.appOf(ctx, def, config)
	if err != nil {
		return &unrevoked{again: true}
	}
	return t.revoke(ctx, def, config, app, opened)
}

// revoke tells the provider (RFC 7009) that the tokens are no longer needed: the
// refresh token, which takes the access token along, or else that one. nil also
// where a provider has no such place.
func (t *Tokens) revoke(ctx context.Context, def *connectors.Connector, config []byte, app records.App, tokens records.GrantTokens) *unrevoked {
	urls, err := def.OAuthEndpoints(config)
	if err != nil || urls.Revocation == "" {
		return nil
	}
	form := url.Values{"token": {tokens.Refresh.Reveal()}, "token_type_hint": {"refresh_token"}}
	if tokens.Refresh.IsZero() {
		form = url.Values{"token": {tokens.Access.Reveal()}, "token_type_hint": {"access_token"}}
	}
	request, err := def.TokenRequest(config)
	if err != nil {
		return &unrevoked{}
	}
	claims := assertionClaims{audience: urls.Token, own: request.Claims, now: t.opts.Now()}
	own, err := def.ClientCertificate(config)
	if err != nil {
		return &unrevoked{}
	}
	failed := &unrevoked{}
	for _, s := range secretsOf(app) {
		c, err := newCredential(def.Auth.OAuth2, app.ClientID, s, own)
		if err != nil {
			continue
		}
		var status int
		if status, failed = t.postRevocation(ctx, def, c, urls.Revocation, form, claims); status != http.StatusUnauthorized {
			break // else it may be the client's other secret that is good
		}
	}
	outcome := "revoked"
	if failed != nil {
		outcome = "revocation_failed"
	}
	t.refreshes.WithLabelValues(def.Key, outcome).Inc()
	return failed
}

func (t *Tokens) postRevocation(ctx context.Context, def *connectors.Connector, c credential, to string, form url.Values, claims assertionClaims) (int, *unrevoked) {
	said, basic, err := c.said(claims)
	if err != nil {
		return 0, &unrevoked{}
	}
	form = maps.Clone(form)
	for name := range said {
		if own := c.o.ParamName(name); own != "" {
			form.Set(own, said.Get(name))
		}
	}
	ctx, cancel := context.WithTimeout(c.presenting(ctx), t.opts.CallTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, &unrevoked{}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic {
		req.SetBasicAuth(url.QueryEscape(c.id), url.QueryEscape(c.plain()))
	}
	resp, err := t.HTTP.Do(req)
	if c.turnedAway(err) {
		return http.StatusUnauthorized, &unrevoked{}
	}
	if err != nil {
		return 0, &unrevoked{again: true}
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxReply)) // what was read of it will do
	switch status, limit := resp.StatusCode, def.RateLimit.ResponseError(resp, body); {
	case status/100 == 2:
		return status, nil
	case limit.RateLimited, status >= 500, status == http.StatusRequestTimeout:
		return status, &unrevoked{again: true, retryAfter: limit.RetryAfter}
	default:
		return status, &unrevoked{}
	}
}
