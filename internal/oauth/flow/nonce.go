package flow

import (
	"net/url"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/hawser-io/hawser/internal/oauth/endpoint"
)

// idTokenAlgorithms are those of ID tokens (OpenID Connect Core 15.1).
var idTokenAlgorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA, jose.HS256, jose.HS384, jose.HS512,
}

// sameNonce reports whether the ID tokens of a token response and of the authorization
// response, as far as there are any, have the nonce. Their signatures are not checked:
// nothing else in them is used, and the token response came over TLS from its issuer.
func sameNonce(nonce string, got endpoint.Response, query url.Values) bool {
	fromReply, _ := got.Field("id_token").(string)
	for _, text := range []string{fromReply, query.Get("id_token")} {
		if text == "" {
			continue
		}
		var claims struct {
			Nonce string `json:"nonce"`
		}
		token, err := jwt.ParseSigned(text, idTokenAlgorithms)
		if err != nil || token.UnsafeClaimsWithoutVerification(&claims) != nil || claims.Nonce != nonce {
			return false
		}
	}
	return true
}
