package flow

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// reserved are the parameters of the authorization request that only the flow sets.
var reserved = []string{"client_id", "client_secret", "redirect_uri", "response_type", "response_mode", "state", "scope", "code_challenge", "code_challenge_method"}

// authorizationURL returns the authorization request (RFC 6749 section 4.1.1, RFC 7636).
// The flow's own parameters come last: nothing that a definition or an app adds can
// replace them.
func (s *Starter) authorizationURL(ctx context.Context, flow *records.Flow, h handle) (string, error) {
	secrets, err := s.flows.Open(flow)
	if err != nil {
		return "", err
	}
	def, err := s.servers.Connector(flow.Connector)
	if err != nil {
		return "", err
	}
	server, err := s.servers.Server(ctx, def, []byte(secrets.Config.Reveal()))
	if err != nil {
		return "", err
	}
	o := def.Auth.OAuth2
	client := connectors.Client{ID: server.App.ClientID, Extra: server.App.Extra}
	definition, err := def.AuthorizationRequest(server.Config, client)
	if err != nil {
		return "", err
	}
	config := oauth2.Config{ClientID: server.App.ClientID, RedirectURL: flow.Redirect, Scopes: []string{o.JoinScopes(flow.Scopes)}}
	request, err := url.Parse(config.AuthCodeURL(s.links.state(h, flow.ExpiresAt), s.options(o, h, secrets.Verifier)...))
	if err != nil {
		return "", err
	}
	q := url.Values{}
	for name, value := range additional(o, definition.Params, server.App.ExtraParams) {
		if value != "" && !isReserved(o, name) {
			q.Set(name, value)
		}
	}
	for name, values := range request.Query() {
		if name = o.ParamName(name); name != "" && values[0] != "" {
			q.Set(name, values[0])
		}
	}
	return withQuery(definition.URL, q), nil
}

// options returns the parameters of the authorization request that not every provider gets.
func (s *Starter) options(o *connectors.OAuth2, h handle, verifier secret.Text) (options []oauth2.AuthCodeOption) {
	if !verifier.IsZero() {
		options = append(options, oauth2.S256ChallengeOption(verifier.Reveal()))
	}
	for name, value := range map[string]string{"response_type": o.ResponseType, "response_mode": o.ResponseMode} {
		if value != "" {
			options = append(options, oauth2.SetAuthURLParam(name, value))
		}
	}
	if o.Nonce {
		options = append(options, oauth2.SetAuthURLParam("nonce", s.links.nonce(h.record())))
	}
	return options
}

// withQuery adds parameters to a URL that stays as it is written. To one with a fragment
// they are added at its end: the page there routes by the fragment.
func withQuery(to string, q url.Values) string {
	before, fragment, hasFragment := strings.Cut(to, "#")
	at := before
	if hasFragment {
		at = fragment
	}
	separator := "?"
	if strings.HasSuffix(at, "?") || strings.HasSuffix(at, "&") {
		separator = ""
	} else if strings.Contains(at, "?") {
		separator = "&"
	}
	return to + separator + q.Encode()
}

// additional returns the parameters of companions, of the definition, and of the app,
// which takes precedence.
func additional(o *connectors.OAuth2, own, app map[string]string) map[string]string {
	all := map[string]string{}
	for _, companion := range o.Companions {
		if len(companion.Scopes) > 0 {
			all[companion.ScopeParam] = o.JoinScopes(companion.Scopes)
		}
	}
	for _, extra := range []map[string]string{own, app} {
		for name, value := range extra {
			if value != "" {
				all[name] = value
			}
		}
	}
	return all
}

// isReserved compares without regard to case, since some servers read parameter names
// so.
func isReserved(o *connectors.OAuth2, name string) bool {
	if o.Nonce && strings.EqualFold(name, "nonce") {
		return true
	}
	return slices.ContainsFunc(reserved, func(own string) bool {
		return strings.EqualFold(name, own) || strings.EqualFold(name, o.ParamName(own))
	})
}
