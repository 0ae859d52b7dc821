package endpoint

import (
	"bytes"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Response is a successful token response (RFC 6749 section 5.1).
type Response struct {
	Access, Refresh secret.Text
	Scopes          []string // nil: the response does not state them
	ExpiresAt       time.Time
	RefreshExpires  time.Time
	Account         string
	Repaired        bool // by [Client.Repair]

	document any // the whole response; holds tokens
}

// String keeps a response out of logs.
func (Response) String() string { return secret.Redacted }

// Field returns the value at a dotted path of the response, nil if there is none.
func (r Response) Field(path string) any { return valueAt(r.document, path) }

// WithDocumentOf returns r with the fields of an earlier response.
func (r Response) WithDocumentOf(earlier Response) Response {
	r.document = earlier.document
	return r
}

// maxToken bounds a token; what is longer would not fit into a request's headers.
const maxToken = 64 << 10

// Where responses have their values, unless TokenFields says otherwise. The first name
// with a value is used.
var tokenNames = map[string][]string{
	"access_token":       {"access_token", "accessToken", "token"},
	"refresh_token":      {"refresh_token", "refreshToken"},
	"expires_in":         {"expires_in", "expiresIn", "expires", "expires_at", "expiresAt"},
	"refresh_expires_in": {"refresh_token_expires_in", "refresh_expires_in", "refreshTokenExpiresIn", "x_refresh_token_expires_in"},
	"scope":              {"scope", "scopes"},
	"error":              {"error", "error_code", "errorCode"},
	"error_description":  {"error_description", "errorDescription", "error_message", "errorMessage", "message", "detail"},
}

// rawResponse is a response of HTTP.
type rawResponse struct {
	status int
	header http.Header
	body   []byte
}

// document reads the response's body.
func (raw rawResponse) document(o *connectors.OAuth2) (doc any, ok bool) {
	doc, ok = decode(raw.body)
	if trimmed := bytes.TrimSpace(raw.body); !ok && bytes.HasPrefix(trimmed, []byte("<")) && isXML(o, raw.header) {
		parsed, err := decodeXML(trimmed)
		return parsed, err == nil
	}
	return doc, ok
}

// parseResponse reads a token response that is not refused because of a rate limit.
func parseResponse(o *connectors.OAuth2, raw rawResponse, now time.Time) (Response, *Error) {
	doc, readable := raw.document(o)
	if failed := classify(o, raw.status, doc); failed != nil {
		return Response{}, failed
	}
	if o.ParseToken != nil {
		canonical, err := recovered(func() ([]byte, error) { return o.ParseToken(raw.status, raw.header, raw.body) })
		if err != nil {
			return Response{}, unreadable(raw.status)
		}
		doc, readable = decode(canonical)
		o = &connectors.OAuth2{ScopeSeparator: o.ScopeSeparator, Expiry: o.Expiry}
	}
	if !readable && !strings.HasPrefix(o.TokenFields["access_token"], "$") {
		return Response{}, unreadable(raw.status)
	}
	got, ok := parseTokens(o, now, func(name string) any {
		path := o.TokenFields[name]
		if of, ok := strings.CutPrefix(path, "$header."); ok {
			return raw.header.Get(of)
		}
		if path == "$body" {
			return wholeBody(raw.body)
		}
		return find(o.TokenFields, tokenNames, name, doc)
	})
	if !ok {
		failed := unreadable(raw.status)
		failed.Refusal = readable
		return Response{}, failed
	}
	got.document = doc
	return got, nil
}

// wholeBody returns a body that is a token, "" for a page of HTML.
func wholeBody(body []byte) string {
	text := strings.TrimSpace(string(body))
	if strings.ContainsAny(text, "< ") {
		return ""
	}
	return text
}

// Companion reads the tokens of a companion out of the response to a code. ok is false
// if it holds none.
func (r Response) Companion(o *connectors.OAuth2, fields map[string]string, now time.Time) (companion Response, ok bool) {
	return parseTokens(o, now, func(name string) any {
		path, ok := fields[name]
		if !ok {
			return nil
		}
		return r.Field(path)
	})
}

// parseTokens reads tokens whose values look finds. ok is false if there is no usable
// access token.
func parseTokens(o *connectors.OAuth2, now time.Time, look func(name string) any) (got Response, ok bool) {
	access := tokenText(look("access_token"))
	if access == "" {
		return Response{}, false
	}
	refresh := tokenText(look("refresh_token"))
	return Response{
		Access:         secret.New(access),
		Refresh:        secret.New(refresh),
		Scopes:         scopesOf(o, look("scope")),
		ExpiresAt:      expiryOf(o.Expiry, look("expires_in"), stated{token: access, renewable: refresh != ""}, now),
		RefreshExpires: refreshExpiry(o, look("refresh_expires_in"), now),
		Account:        idText(look("account")),
	}, true
}

// scopesOf reads a list, or a text with any of the separators that are in use.
func scopesOf(o *connectors.OAuth2, v any) []string {
	var out []string
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			out = append(out, scalar(item))
		}
	case string:
		out = strings.FieldsFunc(v, func(r rune) bool {
			return r == ' ' || r == ',' || o.ScopeSeparator != "" && strings.ContainsRune(o.ScopeSeparator, r)
		})
	}
	out = slices.DeleteFunc(out, func(s string) bool { return s == "" })
	slices.Sort(out)
	return slices.Compact(out)
}
