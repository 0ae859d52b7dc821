package connectors

import (
	"cmp"
	"maps"
)

// Exchange is a request that exchanges one token for another: by RFC 8693, and by the
// variants that providers have.
type Exchange struct {
	// URL is a template; "" is the TokenURL.
	URL string `json:"url,omitempty" yaml:"url,omitempty"`
	// Method is POST, or GET with the parameters in the URL. "" means POST.
	Method string `json:"method,omitempty" yaml:"method,omitempty"`
	// GrantType is the parameter grant_type; "" is that of RFC 8693.
	GrantType string `json:"grant_type,omitempty" yaml:"grant_type,omitempty"`
	// Token is the token that is exchanged: access_token or, for companions, refresh_token.
	// "" means access_token. The reply for a refresh token may contain its successor, which
	// replaces it.
	Token string `json:"token,omitempty" yaml:"token,omitempty"`
	// TokenParam is the parameter that carries the token; "" is subject_token.
	TokenParam string `json:"token_param,omitempty" yaml:"token_param,omitempty"`
	// Params are added: audience, resource, scope, subject_token_type, and so on.
	Params map[string]string `json:"params,omitempty" yaml:"params,omitempty"`
	// Omit lists parameters that the provider refuses: client_id, client_secret. The others
	// are sent as a form, or by GET: with another TokenBody there can be no Omit.
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

// FormParams returns the parameters of the exchange without those of the client, and the
// name of the one that carries the token.
func (x *Exchange) FormParams() (params map[string]string, tokenParam string) {
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

// ExchangesRefreshToken reports whether the token that is exchanged is a refresh token.
func (x *Exchange) ExchangesRefreshToken() bool { return x.Token == tokenRefresh }
