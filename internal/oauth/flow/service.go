// Package flow connects by OAuth 2.0: it sends a user's browser to the provider and back
// (RFC 6749 section 4.1, with PKCE), and connects by client credentials. Any process can
// take any step of a flow.
//
//	service.go           Service: the package's parts, assembled
//	start.go             Starter: a flow begins; the browser binds it, and is redirected
//	authorization.go     the authorization request
//	reconnect.go         reconnect links
//	callback.go          Callbacks: the authorization response and its checks
//	complete.go          code exchange, user, sites; grant and connection stored
//	companion.go         companion tokens of the same authorisation
//	installation.go      tokens of an installed app
//	nonce.go             the nonce of ID tokens
//	config.go            what the flow writes into the connection's config
//	select.go            Sites: the choice of a site
//	session.go           Sessions: a link by which an end user connects
//	clientcredentials.go connections by client credentials
//	links.go             Links: signed states and links
//	return.go            where browsers may be sent after a flow
package flow

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/hawser-io/hawser/internal/oauth/token"
	"github.com/hawser-io/hawser/internal/records"
)

// Service is the package, assembled.
type Service struct {
	Starter           *Starter
	Callbacks         *Callbacks
	Sessions          *Sessions
	Sites             *Sites
	ClientCredentials *ClientCredentials
	Tokens            *token.Service
	links             *Links
}

// Parts are the dependencies of a [Service]. All are required.
type Parts struct {
	Tokens   *token.Service
	Flows    *records.Flows
	Sessions *records.Sessions
	Links    *Links
	// ReturnURLs are the URLs below which browsers may be sent after a flow, besides the
	// base URL's origin.
	ReturnURLs []string
}

// New assembles the package.
func New(parts Parts) *Service {
	t := parts.Tokens
	returns := returnURLs{base: parts.Links.BaseURL, allowed: parts.ReturnURLs}
	s := &Service{Tokens: t, links: parts.Links}
	s.Sites = &Sites{connections: t.Parts.Connections}
	s.Starter = &Starter{
		connections: t.Parts.Connections, servers: t.Parts.Servers, grants: t.Parts.Grants,
		flows: parts.Flows, links: parts.Links, returns: returns, now: t.Options.Now,
	}
	s.ClientCredentials = &ClientCredentials{tokens: t}
	s.Sessions = &Sessions{
		connections: t.Parts.Connections, records: parts.Sessions, links: parts.Links, returns: returns,
		starter: s.Starter, credentials: s.ClientCredentials, sites: s.Sites, opts: t.Options,
	}
	s.Callbacks = &Callbacks{tokens: t, flows: parts.Flows, sessions: s.Sessions, links: parts.Links, opts: t.Options, refused: prometheus.NewCounterVec(
		prometheus.CounterOpts{Name: "hawser_oauth_callbacks_refused_total", Help: "OAuth callbacks that did not lead to a connection, by code and reason."}, []string{"code", "reason"})}
	if t.Options.Metrics != nil {
		t.Options.Metrics.MustRegister(s.Callbacks.refused)
	}
	return s
}

// CallbackURL returns the redirect URI of a connector (RFC 6749, section 3.1.2), which the
// operator registers at the provider.
func (s *Service) CallbackURL(connector string) string { return s.links.redirectURI(connector) }
