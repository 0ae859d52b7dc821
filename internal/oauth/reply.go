package oauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// reply is what a token endpoint has given.
type reply struct {
	Access, Refresh secret.Text
	Scopes          []string // nil: the reply says nothing of them
	ExpiresAt       time.Time
	RefreshExpires  time.Time
	Account         string
	document        any  // the whole, for metadata; holds tokens
	repaired        bool // by the provider's way of repair
}

// outcome is the reply's word in histories and metrics.
func (r reply) outcome() string {
	if r.repaired {
		return "repaired"
	}
	return "refreshed"
}

// String keeps a reply out of texts.
func (reply) String() string { return secret.Redacted }

// verdict is how a call of the token endpoint failed.
type verdict int

const (
	transient verdict = iota // try again later
	denied                   // the grant or the code is refused for good
	badClient                // the client's id or secret is refused
	refused                  // the request is refused: trying again does not help
)

// failure is a failed call. It never holds what the provider wrote, but for the
// error code of the standard.
type failure struct {
	verdict    verdict
	code       connectors.Code
	word       string // the provider's error code, cleaned
	status     int
	retryAfter time.Duration
	// lost says that the provider may have done it: the answer did not come, or
	// cannot be read.
	lost  bool
	cause error
}

func (f *failure) Error() string {
	text := "the token endpoint failed"
	switch {
	case slices.Contains(unusableSecrets, f.cause):
		text = f.cause.Error()
	case f.word != "":
		text = "the token endpoint answered " + f.word
	case f.status != 0 && f.code == connectors.CodeConnectorOAuthParseTokenFailed:
		text = "the answer of the token endpoint holds no token"
	case f.status != 0:
		text = "the token endpoint answered " + strconv.Itoa(f.status)
	case f.cause != nil:
		text = "the token endpoint did not answer"
	}
	return text
}

// coded is the failure as callers are told it.
func (f *failure) coded() *connectors.Error {
	if wrong, ok := errors.AsType[*connectors.Error](f.cause); ok && f.code == connectors.CodeConnectorConfigInvalid {
		said := *wrong
		return &said
	}
	return &connectors.Error{Code: f.code, Message: f.Error(), Reason: f.word, ProviderStatus: f.status, RetryAfter: f.retryAfter, Cause: f.cause}
}

// maxToken bounds a token; what is longer would not fit into a request's headers.
const maxToken = 64 << 10

// Where replies keep things, unless TokenFields says otherwise. The first name
// with a value wins.
var tokenNames = map[string][]string{
	"access_token":       {"access_token", "accessToken", "token"},
	"refresh_token":      {"refresh_token", "refreshToken"},
	"expires_in":         {"expires_in", "expiresIn", "expires", "expires_at", "expiresAt"},
	"refresh_expires_in": {"refresh_token_expires_in", "refresh_expires_in", "refreshTokenExpiresIn", "x_refresh_token_expires_in"},
	"scope":              {"scope", "scopes"},
	"error":              {"error", "error_code", "errorCode"},
}

// Words with which providers refuse a code or a refresh token for good.
var deniedWords = []string{
	"invalid_grant", "bad_refresh_token", "invalid_refresh_token", "token_revoked", "token_expired", "refresh_token_expired",
	"bad_verification_code", "invalid_code", "code_already_used", "access_denied",
}

// Words with which they refuse the client.
var clientWords = []string{
	"invalid_client", "unauthorized_client", "incorrect_client_credentials", "invalid_client_id", "bad_client_secret", "invalid_client_secret",
}

// Words that ask for patience.
var laterWords = []string{"temporarily_unavailable", "server_error", "slow_down", "rate_limited", "ratelimited", "internal_error"}

// guarded runs a connector's code for tokens. A panic is its error: it would end the
// process, since others wait for the same answer. What was thrown may hold a token.
func guarded[T any](f func() (T, error)) (answer T, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("oauth: the connector's code panicked")
		}
	}()
	return f()
}

// parseReply reads an answer of the token endpoint that is not because of its limit.
func parseReply(o *connectors.OAuth2, status int, header http.Header, body []byte, now time.Time) (reply, *failure) {
	doc, readable := decode(body)
	if trimmed := bytes.TrimSpace(body); !readable && bytes.HasPrefix(trimmed, []byte("<")) && speaksXML(o, header) {
		parsed, err := decodeXML(trimmed)
		doc, readable = parsed, err == nil
	}
	word := errorWord(o, doc)
	switch {
	case status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooEarly:
		return reply{}, &failure{verdict: transient, code: connectors.CodeConnectorOAuthTokenFailed, status: status, lost: true}
	case status >= 300 || word != "":
		return reply{}, refusal(status, word)
	}
	if o.ParseToken != nil {
		canonical, err := guarded(func() ([]byte, error) { return o.ParseToken(status, header, body) })
		if err != nil {
			return reply{}, unreadable(status)
		}
		doc, readable = decode(canonical)
		o = &connectors.OAuth2{ScopeSeparator: o.ScopeSeparator, Expiry: o.Expiry}
	}
	if !readable && !strings.HasPrefix(o.TokenFields["access_token"], "$") {
		return reply{}, unreadable(status)
	}
	look := func(name string) any {
		path := o.TokenFields[name]
		if of, ok := strings.CutPrefix(path, "$header."); ok {
			return header.Get(of)
		}
		if path == "$body" {
			return strings.TrimSpace(string(body))
		}
		return find(o.TokenFields, tokenNames, name, doc)
	}
	access := scalar(look("access_token"))
	if !usable(access) {
		return reply{}, unreadable(status)
	}
	return reply{
		Access:         secret.New(access),
		Refresh:        secret.New(scalar(look("refresh_token"))),
		Scopes:         scopesOf(o, look("scope")),
		ExpiresAt:      expiryOf(o.Expiry, look("expires_in"), access, now),
		RefreshExpires: refreshExpiry(o, look("refresh_expires_in"), now),
		Account:        scalar(look("account")),
		document:       doc,
	}, nil
}

// usable reports whether a text can be a token, rather than a page of HTML.
func usable(token string) bool {
	return token != "" && len(token) <= maxToken && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r == '<' || r == 0x7f })
}

func refreshExpiry(o *connectors.OAuth2, value any, now time.Time) time.Time {
	if value == nil {
		return time.Time{}
	}
	form := o.Expiry
	if form == connectors.ExpiryJWT || form == connectors.ExpiryNone {
		form = connectors.ExpiryAuto
	}
	return expiryOf(form, value, "", now)
}

// unreadable is a success without a token: nonsense. What stands there may have
// replaced the real answer on its way.
func unreadable(status int) *failure {
	return &failure{verdict: transient, code: connectors.CodeConnectorOAuthParseTokenFailed, status: status, lost: true}
}

// unusableSecrets say by themselves, and without quoting, what is wrong with one.
var unusableSecrets = []error{errNoKey, errUnsigned, errNoCertificate, errOwnCertificate, errNotTaken, errForeign}

// unusable is a client secret that nothing can be asked with. The next one may do.
func unusable(err error) *failure {
	return &failure{verdict: badClient, code: connectors.CodeConnectorOAuthNotConfigured, cause: err}
}

func refusal(status int, word string) *failure {
	f := &failure{verdict: refused, code: connectors.CodeConnectorOAuthTokenFailed, status: status, word: word}
	switch {
	case slices.Contains(deniedWords, word):
		f.verdict = denied
	case slices.Contains(clientWords, word), word == "" && status == http.StatusUnauthorized:
		f.verdict = badClient
	case slices.Contains(laterWords, word):
		f.verdict, f.lost = transient, true
	}
	return f
}

// errorWord is the provider's error code, if it is a known one; "" if there is none.
func errorWord(o *connectors.OAuth2, doc any) string {
	text := scalar(find(o.TokenFields, tokenNames, "error", doc))
	if object, ok := doc.(map[string]any); ok && text == "" {
		nested, _ := object["error"].(map[string]any)
		text = scalar(nested["code"])
		if _, isText := nested["type"].(string); isText && text == "" {
			text = scalar(nested["type"])
		}
		if ok, there := object["ok"].(bool); there && !ok && text == "" {
			text = "error"
		}
	}
	return cleanWord(text)
}

// Words of the standards that say neither of the above.
var otherWords = []string{
	"invalid_request", "invalid_scope", "unsupported_grant_type", "unsupported_response_type", "unsupported_token_type",
	"interaction_required", "login_required", "consent_required", "account_selection_required", "invalid_target",
	"redirect_uri_mismatch", "application_suspended", "invalid_redirect_uri", "org_login_required", "missing_scope",
}

// unlisted stands for an error code that is none of the known ones: what stands in
// its place could be anything, a secret too.
const unlisted = "unlisted_error"

func cleanWord(text string) string {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "" || text == "false" || text == "0" || text == "null" {
		return ""
	}
	for _, known := range [][]string{deniedWords, clientWords, laterWords, otherWords} {
		if slices.Contains(known, text) {
			return text
		}
	}
	return unlisted
}

// decode reads JSON, or else a form, into maps, lists, strings and json.Number.
func decode(body []byte) (any, bool) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 || body[0] == '<' {
		return nil, false
	}
	if body[0] == '{' || body[0] == '[' {
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		var doc any
		if dec.Decode(&doc) != nil {
			return nil, false
		}
		return doc, true
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || !bytes.ContainsRune(body, '=') {
		return nil, false
	}
	doc := map[string]any{}
	for name := range form {
		doc[name] = form.Get(name)
	}
	return doc, true
}

// find looks a name up: where fields says, else under its usual names.
func find(fields map[string]string, usual map[string][]string, name string, doc any) any {
	if path, ok := fields[name]; ok {
		return dig(doc, path)
	}
	for _, path := range usual[name] {
		if v := dig(doc, path); v != nil && v != "" {
			return v
		}
	}
	return nil
}

// dig follows a dotted path; a step into a list is an index. "" is doc itself.
func dig(doc any, path string) any {
	if path == "" {
		return doc
	}
	for step := range strings.SplitSeq(path, ".") {
		switch at := doc.(type) {
		case map[string]any:
			doc = at[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(at) {
				return nil
			}
			doc = at[i]
		default:
			return nil
		}
	}
	return doc
}

// scalar is a value as text; "" for what is no single value.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
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
