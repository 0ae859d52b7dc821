package connectors

import (
	"cmp"
	"maps"
)

// Exchange trades one token for another: by RFC 8693, and by what providers have had
// before and beside it.
type Exchange struct {
	// URL, a template; "" is the TokenURL.
	URL string `json:"url,omitempty" yaml:"url,omitempty"`
	// Method is POST, or GET: then the parameters are those of the URL. "" means POST.
	Method string `json:"method,omitempty" yaml:"method,omitempty"`
	// GrantType; "" is that of RFC 8693.
	GrantType string `json:"grant_type,omitempty" yaml:"grant_type,omitempty"`
	// Token is what is shown: access_token or, for companions, refresh_token. "" means
	// access_token. What comes back for a refresh token may hold its successor, which
	// is kept in its place.
	Token string `json:"token,omitempty" yaml:"token,omitempty"`
	// TokenParam carries the token that is shown; "" is subject_token.
	TokenParam string `json:"token_param,omitempty" yaml:"token_param,omitempty"`
	// Params are sent along: audience, resource, scope, subject_token_type, and so on.
	Params map[string]string `json:"params,omitempty" yaml:"params,omitempty"`
	// Omit is what the provider does not want to hear: client_id, client_secret. What is
	// left is sent as a form, or by GET: with another TokenBody there can be no Omit.
	Omit []string `json:"omit,omitempty" yaml:"omit,omitempty"`
	// TokenFields are those of its replies; none means those of OAuth2.
	TokenFields map[string]string `json:"token_fields,omitempty" yaml:"token_fields,omitempty"`
}

const (
	exchangeGrant   = "urn:ietf:params:oauth:grant-type:token-exchange"
	exchangeSubject = "subject_token"

	tokenAccess  = "access_token"
	tokenRefresh = "refresh_token"
)

// Form is the parameters of a trade but for those of the client, and the name of the
// one that carries the token.
func (x *Exchange) FormParams() (params map[string]string, subject string) {
	params = map[string]string{"grant_type": cmp.Or(x.GrantType, exchangeGrant)}
	maps.Copy(params, x.Params)
	return params, cmp.Or(x.TokenParam, exchangeSubject)
}

func (x *Exchange) url() string {
	if x == nil {
		return ""
	}
	return x.URL
}

// ShowsRefresh reports whether the token that is shown is a refresh token.
func (x *Exchange) ExchangesRefreshToken() bool { return x.Token == tokenRefresh }
