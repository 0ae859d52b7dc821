package flow

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/oauth/token"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Callbacks handles authorization responses. Safe for concurrent use.
type Callbacks struct {
	tokens   *token.Service
	flows    *records.Flows
	sessions *Sessions
	links    *Links
	opts     token.Options
	refused  *prometheus.CounterVec // by code and reason
}

// Outcome is how a callback ended, for the browser.
type Outcome struct {
	Status    string // success, selection_required or error
	Connector string
	ReturnURL string // "": the browser stays
	// WebhookURL is that of the new connection, which is shown once; "" if it has none.
	WebhookURL string
}

// Location returns where to redirect the browser, "" if nowhere. It carries the status,
// the connector and the error's code and reason.
func (o Outcome) Location(failed *connectors.Error) string {
	u, err := url.Parse(o.ReturnURL)
	if o.ReturnURL == "" || err != nil {
		return ""
	}
	q := u.Query()
	q.Set("status", o.Status)
	q.Set("connector", o.Connector)
	if failed != nil {
		q.Set("error", string(failed.Code))
		if failed.Reason != "" {
			q.Set("reason", failed.Reason)
		}
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// Handle handles the authorization response in a browser's redirect. Its browser can use a
// state once, however that ends; when it repeats one that succeeded, it gets the same outcome. Of
// the checks, in this order, each has its reason:
//
//	malformed      no state, or not of our form
//	bad_signature  not issued by this installation
//	replayed       used before, never stored, or not the one that a session waits for
//	wrong_browser  not the one that opened the flow: the state stays usable
//	expired        more than ten minutes old
//	mismatch       of another connector, or (iss) of another authorization server
//
// No code is exchanged and nothing stored before all of them have passed.
func (c *Callbacks) Handle(ctx context.Context, connector string, query url.Values, cookie func(name string) string) (Outcome, *connectors.Error) {
	out := Outcome{Status: "error", Connector: connector}
	query = c.standardNames(connector, query)
	h, flow, refusal := c.consume(ctx, query, cookie)
	if refusal == nil && flow.Used {
		return Outcome{Status: flow.Outcome.Status, Connector: flow.Connector, ReturnURL: flow.Outcome.ReturnURL}, nil
	}
	if refusal == nil {
		refusal = c.checkServer(connector, flow, query)
	}
	if refusal == nil {
		refusal = c.sessions.checkExpected(ctx, h, flow)
	}
	if refusal != nil {
		c.refuse(ctx, flow, refusal)
		return out, refusal
	}
	out.ReturnURL = flow.ReturnURL
	status, webhookURL, err := c.complete(ctx, flow, query)
	if err != nil {
		refusal = connectors.AsError(err)
		c.refuse(ctx, flow, refusal)
		c.sessions.close(ctx, flow, SessionFailed, refusal)
		return out, refusal
	}
	out.Status = status
	c.record(ctx, h, out)
	out.WebhookURL = webhookURL
	return out, nil
}

// record stores the outcome of a callback that succeeded, for a browser that repeats it, as
// a reload of the page does.
func (c *Callbacks) record(ctx context.Context, h handle, out Outcome) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	flow, err := c.flows.Latest(ctx, h.record())
	if err == nil {
		flow.Outcome = &records.FlowOutcome{Status: out.Status, ReturnURL: out.ReturnURL}
		err = c.flows.Save(ctx, flow)
	}
	if err != nil {
		c.opts.Warn(err)
	}
}

// AcceptsForm reports whether a connector's provider posts its authorization responses.
func (c *Callbacks) AcceptsForm(connector string) bool {
	def, err := c.tokens.Parts.Servers.Connector(connector)
	return err == nil && def.Auth.OAuth2.AnswersByForm()
}

// standardNames gives the parameters of a response their standard names. An unknown
// connector has no names of its own.
func (c *Callbacks) standardNames(connector string, query url.Values) url.Values {
	def, err := c.tokens.Parts.Servers.Connector(connector)
	if err != nil || len(def.Auth.OAuth2.ParamNames) == 0 {
		return query
	}
	query = maps.Clone(query)
	for _, name := range []string{"state", "code"} {
		if own := def.Auth.OAuth2.ParamName(name); own != name {
			query[name] = query[own]
		}
	}
	return query
}

// consume returns the flow of a callback and marks it as used. A browser that did not open
// the flow consumes nothing. A flow with Used is one whose browser repeats the callback.
func (c *Callbacks) consume(ctx context.Context, query url.Values, cookie func(name string) string) (handle, *records.Flow, *connectors.Error) {
	if len(query["state"]) != 1 {
		return handle{}, nil, stateInvalid(reasonMalformed)
	}
	h, expires, refusal := c.links.parseState(query.Get("state"))
	if refusal != nil {
		return h, nil, refusal
	}
	now := c.opts.Now()
	for range 4 {
		flow, err := c.flows.Latest(ctx, h.record())
		switch {
		case errors.Is(err, records.ErrNotFound) && !now.Before(expires):
			return h, nil, stateInvalid(reasonExpired)
		case errors.Is(err, records.ErrNotFound):
			return h, nil, stateInvalid(reasonReplayed)
		case err != nil:
			return h, nil, connectors.AsError(err)
		}
		own := sameHash(flow.Browser, cookieHash(cookie(c.links.cookie(h.record(), flow.ExpiresAt).Name)))
		switch {
		case flow.Used && own && flow.Outcome != nil:
			return h, flow, nil
		case flow.Used && own:
			return h, flow, stateInvalid(reasonReplayed)
		case flow.Used:
			return h, nil, stateInvalid(reasonReplayed)
		case !own:
			return h, nil, stateInvalid(reasonWrongBrowser)
		}
		if err := c.flows.Consume(ctx, flow); errors.Is(err, records.ErrConflict) {
			continue // opened again, or used by another callback
		} else if err != nil {
			return h, flow, connectors.AsError(err)
		}
		if !now.Before(flow.ExpiresAt) || !now.Before(expires.Add(time.Second)) {
			return h, flow, stateInvalid(reasonExpired)
		}
		return h, flow, nil
	}
	return h, nil, stateInvalid(reasonReplayed)
}

// checkServer checks that the response is of the flow's connector and of its authorization
// server (RFC 9207).
func (c *Callbacks) checkServer(connector string, flow *records.Flow, query url.Values) *connectors.Error {
	if flow.Connector != connector {
		return stateInvalid(reasonMismatch)
	}
	def, err := c.tokens.Parts.Servers.Connector(connector)
	if err != nil {
		return connectors.AsError(err)
	}
	// A definition with an issuer says that its server sends iss.
	if issuer := def.Auth.OAuth2.Issuer; issuer != "" && (len(query["iss"]) != 1 || query.Get("iss") != issuer) {
		return stateInvalid(reasonMismatch)
	}
	return nil
}

// refuse logs and counts a callback that failed, and publishes that to the tenant whose flow
// it ended.
func (c *Callbacks) refuse(ctx context.Context, flow *records.Flow, e *connectors.Error) {
	c.refused.WithLabelValues(string(e.Code), e.Reason).Inc()
	c.opts.Log.Info().Str("code", string(e.Code)).Str("reason", e.Reason).Msg("an OAuth callback was refused")
	if flow != nil {
		data := events.Data{ErrorCode: string(e.Code), ErrorMessage: e.Message, Operation: e.Reason}
		c.tokens.Parts.Connections.Announce(ctx, events.OAuthFailed, connectionOf(flow, flow.Reconnect), data)
	}
}

// codeOf returns the code of an authorization response, or its error (RFC 6749 section
// 4.1.2).
func codeOf(o *connectors.OAuth2, query url.Values) (secret.Text, *connectors.Error) {
	if refusal := refusalOf(o, query); refusal != nil {
		return secret.Text{}, refusal
	}
	if len(query["code"]) != 1 || query.Get("code") == "" {
		return secret.Text{}, &connectors.Error{Code: connectors.CodeConnectorOAuthTokenFailed, Reason: "no_code",
			Message: "the provider's response holds no code"}
	}
	return secret.New(query.Get("code")), nil
}

// cancelled are the words by which providers say that the user did not consent.
var cancelled = []string{
	"access_denied", "user_denied", "user_cancelled", "user_canceled", "user_cancelled_login", "user_cancelled_authorize", "user_cancel",
	"cancelled", "canceled", "denied", "authorization_denied", "consent_denied", "access_denied_by_user",
}

// refusalOf returns the error of an authorization response, nil if it is none.
func refusalOf(o *connectors.OAuth2, query url.Values) *connectors.Error {
	text := cmp.Or(query.Get("error"), query.Get("error_code"), query.Get("error_reason"))
	if text == "" {
		return nil
	}
	var own []string
	if o.ErrorWords != nil {
		own = o.ErrorWords.Cancelled
	}
	usual := connectors.MatchesError(cancelled, text, "") || connectors.MatchesError(cancelled, query.Get("error_reason"), "")
	if usual || connectors.MatchesError(own, text, query.Get("error_description")) {
		return &connectors.Error{Code: connectors.CodeConnectorOAuthDenied, Reason: "access_denied",
			Message: "you did not allow access at the provider; connect again to allow it"}
	}
	known := endpoint.KnownErrorCode(text)
	return &connectors.Error{Code: connectors.CodeConnectorOAuthDenied, Reason: known, Message: "the provider did not grant access: " + known}
}
