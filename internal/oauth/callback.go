package oauth

import (
	"context"
	"crypto/hmac"
	"errors"
	"maps"
	"net/url"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Outcome is how a callback ended, for the browser.
type Outcome struct {
	Status    string // success, selection_required or error
	Connector string
	ReturnURL string // "" if the browser is not to be sent anywhere
	Clear     Cookie // to be removed; "" if none
}

// Location is where to send the browser, "" if nowhere. It says how it went, and
// nothing else.
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

// Callback is the browser's way back. A state is good for one call, however that
// one ends. Of the checks, in this order, each has its reason:
//
//	malformed      no state, or not of our form
//	bad_signature  not made here
//	expired        more than ten minutes old
//	replayed       used before, never stored, or not the one that a session waits for
//	mismatch       of another connector, or (iss) of another authorization server
//	wrong_browser  not the one that opened the flow
//
// Nothing is exchanged and nothing stored before all of them have passed.
func (f *Flow) Callback(ctx context.Context, connector string, query url.Values, cookie func(name string) string) (Outcome, *connectors.Error) {
	out := Outcome{Status: "error", Connector: connector}
	query = f.standard(connector, query)
	h, flow, refusal := f.consume(ctx, query)
	if refusal == nil {
		out.Clear = f.flowCookie(h, flow)
		refusal = f.checkBound(connector, flow, query, cookie(out.Clear.Name))
	}
	if refusal == nil {
		refusal = f.awaited(ctx, h, flow)
	}
	if refusal != nil {
		f.refuse(ctx, flow, refusal)
		return out, refusal
	}
	out.ReturnURL = flow.ReturnURL
	status, err := f.conclude(ctx, flow, query)
	if err != nil {
		refusal = connectors.AsError(err)
		f.refuse(ctx, flow, refusal)
		f.closeSession(ctx, flow, SessionFailed, refusal)
		return out, refusal
	}
	out.Status = status
	return out, nil
}

// standard gives the parameters of an answer their standard names. An unknown
// connector has no names of its own.
func (f *Flow) standard(connector string, query url.Values) url.Values {
	def, err := f.connector(connector)
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

// consume finds the flow of a callback and uses it up.
func (f *Flow) consume(ctx context.Context, query url.Values) (handle, *records.Flow, *connectors.Error) {
	if len(query["state"]) != 1 {
		return handle{}, nil, stateInvalid(reasonMalformed)
	}
	h, expires, refusal := parseState(f.Key, query.Get("state"))
	if refusal != nil {
		return h, nil, refusal
	}
	now := f.opts.Now()
	for range 4 {
		flow, err := f.flows.Latest(ctx, h.record())
		switch {
		case errors.Is(err, records.ErrNotFound) && !now.Before(expires):
			return h, nil, stateInvalid(reasonExpired)
		case errors.Is(err, records.ErrNotFound):
			return h, nil, stateInvalid(reasonReplayed)
		case err != nil:
			return h, nil, connectors.AsError(err)
		case flow.Used:
			return h, flow, stateInvalid(reasonReplayed)
		}
		if err := f.flows.Consume(ctx, flow); errors.Is(err, records.ErrConflict) {
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

// checkBound checks that the answer is for this flow: the connector, the browser,
// and (RFC 9207) the authorization server.
func (f *Flow) checkBound(connector string, flow *records.Flow, query url.Values, cookie string) *connectors.Error {
	if flow.Connector != connector {
		return stateInvalid(reasonMismatch)
	}
	if flow.Browser == "" || !sameHash(flow.Browser, cookieHash(cookie)) {
		return stateInvalid(reasonWrongBrowser)
	}
	def, err := f.connector(connector)
	if err != nil {
		return connectors.AsError(err)
	}
	// Whoever names an issuer in the definition knows that its server sends it.
	if issuer := def.Auth.OAuth2.Issuer; issuer != "" && (len(query["iss"]) != 1 || query.Get("iss") != issuer) {
		return stateInvalid(reasonMismatch)
	}
	return nil
}

// refuse tells the tenant, where it is known, of a callback that came to nothing.
func (f *Flow) refuse(ctx context.Context, flow *records.Flow, e *connectors.Error) {
	f.opts.Log.Info().Str("code", string(e.Code)).Str("reason", e.Reason).Msg("an OAuth callback was refused")
	if flow != nil {
		f.announce(ctx, events.OAuthFailed, flow, flow.Reconnect, events.Data{ErrorCode: string(e.Code), ErrorMessage: e.Message, Operation: e.Reason})
	}
}

// answer reads what the provider has sent along: a code, or its refusal.
func answer(query url.Values) (secret.Text, *connectors.Error) {
	if word := query.Get("error"); word != "" {
		word = cleanWord(word)
		return secret.Text{}, &connectors.Error{Code: connectors.CodeConnectorOAuthDenied, Reason: word,
			Message: "the provider did not grant access: " + word}
	}
	if len(query["code"]) != 1 || query.Get("code") == "" {
		return secret.Text{}, &connectors.Error{Code: connectors.CodeConnectorOAuthTokenFailed, Reason: "no_code",
			Message: "the provider's answer holds no code"}
	}
	return secret.New(query.Get("code")), nil
}

func equalMAC(a, b []byte) bool { return hmac.Equal(a, b) }
