package endpoint

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// providerError is what an error response says. Both texts could hold anything, a secret
// too, so they are compared and never passed on.
type providerError struct{ code, description string }

// readError returns the error of a response, zero if there is none.
func readError(o *connectors.OAuth2, status int, doc any) providerError {
	code := find(o.TokenFields, tokenNames, "error", doc)
	e := providerError{code: errorText(code), description: scalar(find(o.TokenFields, tokenNames, "error_description", doc))}
	object, isObject := doc.(map[string]any)
	if !isObject || e.code != "" {
		return e
	}
	nested, _ := object["error"].(map[string]any)
	e.code = cmp.Or(scalar(nested["code"]), errorText(nested["type"]))
	e.description = cmp.Or(e.description, scalar(nested["message"]))
	if text, isText := object["status"].(string); isText && e.code == "" && status >= http.StatusBadRequest {
		e.code = text
	}
	if ok, there := object["ok"].(bool); there && !ok && e.code == "" {
		e.code = "error"
	}
	return e
}

// errorText returns an error code as text; "" for what says that there is none.
func errorText(v any) string {
	text := scalar(v)
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "false", "0", "null":
		return ""
	}
	return text
}

// classify returns the error of an error response (RFC 6749 section 5.2), by the
// definition's words, and then by those of the standards; nil if the response is none.
func classify(o *connectors.OAuth2, status int, doc any) *Error {
	said := readError(o, status, doc)
	e := &Error{Kind: Rejected, Code: connectors.CodeConnectorOAuthTokenFailed, Status: status, ProviderCode: KnownErrorCode(said.code)}
	words := o.ErrorWords
	if words == nil {
		words = &connectors.ErrorWords{}
	}
	outage := status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooEarly
	switch code := e.ProviderCode; {
	case status < 300 && code == "":
		return nil
	case connectors.MatchesError(words.DeadToken, said.code, said.description):
		e.Kind = InvalidGrant
	case connectors.MatchesError(words.WrongApp, said.code, said.description):
		e.Kind = InvalidClient
	case connectors.MatchesError(words.Retry, said.code, said.description):
		e.Kind, e.MayHaveSucceeded = Transient, true
	case outage:
		e.Kind, e.MayHaveSucceeded, e.ProviderCode = Transient, true, ""
	case slices.Contains(invalidGrantCodes, code):
		e.Kind = InvalidGrant
	case slices.Contains(invalidClientCodes, code), code == "" && status == http.StatusUnauthorized:
		// Some servers say so of a refresh token; they do not name the client then.
		e.Kind, e.Refusal = InvalidClient, code == "" || code == "unauthorized_client"
	case slices.Contains(transientCodes, code):
		e.Kind, e.MayHaveSucceeded = Transient, true
	default:
		e.Refusal = status >= http.StatusBadRequest || code != ""
	}
	return e
}

// tokenText returns a token, "" for what is none: a token is a text of printable ASCII that
// is not blank (RFC 6749 appendix A).
func tokenText(v any) string {
	text, _ := v.(string)
	if len(text) > maxToken || strings.TrimSpace(text) == "" || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ""
	}
	return text
}

// ID returns an id of a token response, "" for what is none.
func ID(v any) string { return idText(v) }

// idText returns an id, "" for what is none: a text that is not blank, of one line, or a
// number that is not zero.
func idText(v any) string {
	switch v := v.(type) {
	case string:
		if len(v) > maxField || strings.TrimSpace(v) == "" || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return ""
		}
		return v
	case json.Number:
		if f, err := v.Float64(); err == nil && f == 0 {
			return ""
		}
		return v.String()
	}
	return ""
}
