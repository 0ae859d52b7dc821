package oauth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// Disconnect removes a connection. The last one of a grant takes it along, and has
// it revoked at the provider; that a provider does not answer keeps nobody from
// leaving.
func (t *Tokens) Disconnect(ctx context.Context, r connection.Ref) error {
	var config []byte
	// A connection that cannot be read can still be left.
	if old, err := t.Service.Latest(ctx, r); err == nil && old.Grant != "" {
		// What the revocation's URL may be made of is gone with the record.
		if config, err = t.Service.ConfigOf(old); err != nil {
			config = nil
		}
	}
	gone, err := t.Service.Disconnect(ctx, r)
	if err != nil {
		return err
	}
	t.release(ctx, gone.Grant, r.Key(), config)
	return nil
}

// release takes a connection out of its grant.
func (t *Tokens) release(ctx context.Context, grant, connectionKey string, config []byte) {
	if grant == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.opts.CallTimeout)
	defer cancel()
	for range 16 {
		g, err := t.Grants.Latest(ctx, grant)
		if errors.Is(err, connection.ErrNotFound) {
			return
		}
		if err != nil {
			t.problem(err)
			return
		}
		g.Connections = slices.DeleteFunc(g.Connections, func(k string) bool { return k == connectionKey })
		if len(g.Connections) > 0 {
			err = t.Grants.Save(ctx, g)
		} else {
			err = t.Grants.Delete(ctx, g)
		}
		if errors.Is(err, connection.ErrConflict) {
			continue
		}
		if err != nil {
			t.problem(err)
		} else if len(g.Connections) == 0 && g.State == connection.GrantLive {
			t.revokeGrant(ctx, g, config)
		}
		return
	}
}

func (t *Tokens) revokeGrant(ctx context.Context, g *connection.Grant, config []byte) {
	opened, err := t.Grants.Open(g)
	if err != nil {
		t.problem(err)
		return
	}
	def, err := t.connector(g.Connector)
	if err != nil {
		t.problem(err)
		return
	}
	app, err := t.appOf(ctx, def, config, g.App)
	if err != nil {
		t.problem(err)
		return
	}
	t.revoke(ctx, g.Connector, config, app, opened)
}

// revoke tells the provider (RFC 7009) that the tokens are no longer needed: the
// refresh token, which takes the access token along, or else that one.
func (t *Tokens) revoke(ctx context.Context, connector string, config []byte, app connection.App, tokens connection.GrantTokens) {
	def, err := t.connector(connector)
	if err != nil {
		t.problem(err)
		return
	}
	urls, err := def.OAuthEndpoints(config)
	if err != nil || urls.Revocation == "" {
		return
	}
	if app.ClientID == "" {
		if app, _, err = t.Apps.Get(ctx, def); err != nil {
			t.problem(err)
			return
		}
	}
	form := url.Values{}
	if tokens.Refresh.IsZero() {
		form.Set("token", tokens.Access.Reveal())
		form.Set("token_type_hint", "access_token")
	} else {
		form.Set("token", tokens.Refresh.Reveal())
		form.Set("token_type_hint", "refresh_token")
	}
	outcome := "revoked"
	if err := t.postRevocation(ctx, def, urls.Revocation, app, form); err != nil {
		outcome = "revocation_failed"
		t.opts.Log.Warn().Str("connector", connector).Msg("a grant could not be revoked at the provider; it was forgotten here")
	}
	t.refreshes.WithLabelValues(connector, outcome).Inc()
}

func (t *Tokens) postRevocation(ctx context.Context, def *connectors.Connector, to string, app connection.App, form url.Values) error {
	clientSecret := ""
	if len(app.ClientSecrets) > 0 {
		clientSecret = app.ClientSecrets[0].Reveal()
	}
	o := def.Auth.OAuth2
	basic := o.ClientAuth == connectors.ClientAuthBasic
	if !basic {
		form.Set(o.ParamName("client_id"), app.ClientID)
		if clientSecret != "" {
			form.Set(o.ParamName("client_secret"), clientSecret)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic {
		req.SetBasicAuth(url.QueryEscape(app.ClientID), url.QueryEscape(clientSecret))
	}
	resp, err := t.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxReply))
	if resp.StatusCode/100 != 2 {
		return errors.New("the revocation endpoint refused")
	}
	return nil
}
