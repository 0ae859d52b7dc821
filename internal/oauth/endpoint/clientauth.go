package endpoint

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"hash"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// assertionLifetime is how long a JWT that a client signs is valid.
const assertionLifetime = time.Minute

// assertionType is the client_assertion_type of a JWT (RFC 7523 section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// errCannotSign is the error of a client secret that cannot sign as the connector
// demands.
var errCannotSign = errors.New("the client secret cannot sign as the provider demands")

// credential is one of a client's secrets, read as the connector's ClientAuth demands.
type credential struct {
	o         *connectors.OAuth2
	id        string
	secret    secret.Text
	key       clientKey // where the secret is one
	presented clientKey // the key of the certificate
}

// newCredential reads a secret. certificate is that of the config, or zero: then it is
// in the secret.
func newCredential(server Server, s, certificate secret.Text) (credential, error) {
	o := server.Connector.Auth.OAuth2
	c := credential{o: o, id: server.App.ClientID, secret: s}
	var err error
	if o.ClientAuth.NeedsKey() {
		c.key, err = readKey(s)
		c.presented = c.key
	}
	if err == nil && o.Certificate != "" {
		if c.presented, err = readKey(certificate); err != nil || len(c.presented.chain) == 0 {
			err = errConfigCertificate
		}
	}
	if err == nil && o.UsesClientCertificate() && len(c.presented.chain) == 0 {
		err = errNoCertificate
	}
	return c, err
}

// transmitted returns the secret where requests carry it; "" where they only prove it.
func (c credential) transmitted() string {
	if c.o.ClientAuth.SignsJWT() || c.o.ClientAuth.NeedsKey() {
		return ""
	}
	return c.secret.Reveal()
}

// authentication returns the parameters that authenticate the client, or the
// Authorization header that does (RFC 6749 section 2.3.1, RFC 7523 section 2.2).
func (c credential) authentication(claims assertionClaims) (params url.Values, header string, err error) {
	switch c.o.ClientAuth {
	case connectors.ClientAuthBasic:
		return nil, basic(url.QueryEscape(c.id), url.QueryEscape(c.transmitted())), nil
	case connectors.ClientAuthBasicPlain:
		return nil, basic(c.id, c.transmitted()), nil
	}
	params = url.Values{"client_id": {c.id}}
	if text := c.transmitted(); text != "" {
		params.Set("client_secret", text)
	}
	if c.o.ClientAuth.SignsJWT() {
		signed, err := c.sign(claims)
		if err != nil {
			return nil, "", err
		}
		params.Set("client_assertion_type", assertionType)
		params.Set("client_assertion", signed)
	}
	return params, "", nil
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// claimsScope reports whether assertions carry the scopes in a claim, rather than the
// request in a parameter.
func (c credential) claimsScope() bool { return c.o.Assertion != nil && c.o.Assertion.ScopeClaim != "" }

// assertionClaims are the claims of a client's JWT besides its issuer and subject.
type assertionClaims struct {
	audience string // "": none
	scope    string // "": none
	own      map[string]connectors.Secret
	now      time.Time
}

// sign returns a JWT (RFC 7519) that identifies the client.
func (c credential) sign(claims assertionClaims) (string, error) {
	o := c.o.Assertion
	if o == nil {
		o = &connectors.Assertion{}
	}
	key := jose.SigningKey{Algorithm: jose.HS256, Key: sharedKey{c.secret}}
	if o.Algorithm != "" {
		key.Algorithm = jose.SignatureAlgorithm(o.Algorithm)
	}
	options := (&jose.SignerOptions{}).WithType("JWT")
	switch {
	case c.secret.IsZero():
		return "", errCannotSign
	case c.o.ClientAuth.NeedsKey():
		key = jose.SigningKey{Algorithm: c.key.signatureAlgorithm(o.Algorithm), Key: jose.JSONWebKey{Key: c.key.key, KeyID: c.key.id}}
		if print := c.key.thumbprint(); print != "" {
			options = options.WithHeader("x5t#S256", print)
		}
	}
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		return "", errCannotSign
	}
	all := map[string]any{"iss": c.id, "sub": c.id, "jti": events.NewID(), "iat": claims.now.Unix(), "exp": claims.now.Add(assertionLifetime).Unix()}
	if claims.audience != "" {
		all["aud"] = claims.audience
	}
	for name, value := range claims.own {
		all[name] = value.Reveal()
	}
	if claims.scope != "" && o.ScopeClaim != "" {
		all[o.ScopeClaim] = claims.scope
	}
	signed, err := jwt.Signed(signer).Claims(all).Serialize()
	if err != nil {
		return "", errCannotSign
	}
	return signed, nil
}

// sharedKey signs with a secret of any length. The library refuses secrets that are
// shorter than their hash, but their length is the provider's choice.
type sharedKey struct{ secret.Text }

// Public implements jose.OpaqueSigner: a shared key has no public key.
func (sharedKey) Public() *jose.JSONWebKey { return nil }

// Algs implements jose.OpaqueSigner.
func (sharedKey) Algs() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512}
}

// SignPayload implements jose.OpaqueSigner.
func (k sharedKey) SignPayload(payload []byte, algorithm jose.SignatureAlgorithm) ([]byte, error) {
	hash := map[jose.SignatureAlgorithm]func() hash.Hash{jose.HS256: sha256.New, jose.HS384: sha512.New384, jose.HS512: sha512.New}[algorithm]
	if hash == nil {
		return nil, errCannotSign
	}
	mac := hmac.New(hash, []byte(k.Reveal()))
	mac.Write(payload)
	return mac.Sum(nil), nil
}
