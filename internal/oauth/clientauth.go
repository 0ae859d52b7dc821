package oauth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"hash"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// assertionLife is how long a JWT that a client signs is good.
const assertionLife = time.Minute

// assertionType says that client_assertion is a JWT (RFC 7523 section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// errUnsigned is a client secret that cannot sign as the connector wants it.
var errUnsigned = errors.New("the client secret cannot sign as the provider wants it")

// credential is one of a client's secrets, in the form in which the connector's
// ClientAuth has it.
type credential struct {
	o      *connectors.OAuth2
	id     string
	secret secret.Text
	key    clientKey // where the secret is one
	shown  clientKey // the key of the certificate
}

// newCredential reads a secret. certificate is the one that the config brings, or zero:
// then it lies in the secret.
func newCredential(o *connectors.OAuth2, id string, s, certificate secret.Text) (credential, error) {
	c := credential{o: o, id: id, secret: s}
	var err error
	if o.ClientAuth.NeedsKey() {
		c.key, err = readKey(s)
		c.shown = c.key
	}
	if err == nil && o.Certificate != "" {
		if c.shown, err = readKey(certificate); err != nil || len(c.shown.chain) == 0 {
			err = errOwnCertificate
		}
	}
	if err == nil && o.UsesClientCertificate() && len(c.shown.chain) == 0 {
		err = errNoCertificate
	}
	return c, err
}

// secretsOf are a client's secrets, in their order. A public client has one that is
// empty.
func secretsOf(app records.App) []secret.Text {
	if len(app.ClientSecrets) == 0 {
		return []secret.Text{{}}
	}
	return app.ClientSecrets
}

// plain is the secret where the request tells it; "" where it only proves it.
func (c credential) plain() string {
	if c.o.ClientAuth.SignsJWT() || c.o.ClientAuth.NeedsKey() {
		return ""
	}
	return c.secret.Reveal()
}

// said are the parameters by which a request says who the client is; basic is that
// the Authorization header does.
func (c credential) said(claims assertionClaims) (params url.Values, basic bool, err error) {
	if c.o.ClientAuth == connectors.ClientAuthBasic {
		return nil, true, nil
	}
	params = url.Values{"client_id": {c.id}}
	if plain := c.plain(); plain != "" {
		params.Set("client_secret", plain)
	}
	if c.o.ClientAuth.SignsJWT() {
		signed, err := c.sign(claims)
		if err != nil {
			return nil, false, err
		}
		params.Set("client_assertion_type", assertionType)
		params.Set("client_assertion", signed)
	}
	return params, false, nil
}

// claimsScope reports whether assertions carry the scopes, and no parameter does.
func (c credential) claimsScope() bool { return c.o.Assertion != nil && c.o.Assertion.ScopeClaim != "" }

// assertionClaims are what a JWT of a client says besides who it is.
type assertionClaims struct {
	audience string // "": none
	scope    string // "": none
	own      map[string]connectors.Secret
	now      time.Time
}

// sign makes a JWT (RFC 7519) by which the client says who it is.
func (c credential) sign(claims assertionClaims) (string, error) {
	o := c.o.Assertion
	if o == nil {
		o = &connectors.Assertion{}
	}
	with := jose.SigningKey{Algorithm: jose.HS256, Key: sharedKey{c.secret}}
	if o.Algorithm != "" {
		with.Algorithm = jose.SignatureAlgorithm(o.Algorithm)
	}
	options := (&jose.SignerOptions{}).WithType("JWT")
	switch {
	case c.secret.IsZero():
		return "", errUnsigned
	case c.o.ClientAuth.NeedsKey():
		with = jose.SigningKey{Algorithm: c.key.signs(o.Algorithm), Key: jose.JSONWebKey{Key: c.key.key, KeyID: c.key.id}}
		if print := c.key.thumbprint(); print != "" {
			options = options.WithHeader("x5t#S256", print)
		}
	}
	signer, err := jose.NewSigner(with, options)
	if err != nil {
		return "", errUnsigned
	}
	said := map[string]any{"iss": c.id, "sub": c.id, "jti": events.NewID(), "iat": claims.now.Unix(), "exp": claims.now.Add(assertionLife).Unix()}
	if claims.audience != "" {
		said["aud"] = claims.audience
	}
	for name, value := range claims.own {
		said[name] = value.Reveal()
	}
	if claims.scope != "" && o.ScopeClaim != "" {
		said[o.ScopeClaim] = claims.scope
	}
	signed, err := jwt.Signed(signer).Claims(said).Serialize()
	if err != nil {
		return "", errUnsigned
	}
	return signed, nil
}

// sign has the connector sign the request, in the provider's own way.
func (r *reader) sign(req *http.Request) error {
	sign := r.def.Auth.OAuth2.SignToken
	if sign == nil {
		return nil
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return err
	}
	if _, err = guarded(func() (any, error) { return nil, sign(req, body, r.credential.secret) }); err != nil {
		return errUnsigned // its text was not written for strangers
	}
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return nil
}

// sharedKey signs with a secret of any length: the library refuses those that are
// shorter than their hash, but it is the provider who has chosen this one.
type sharedKey struct{ secret.Text }

// Public implements jose.OpaqueSigner: there is no public half.
func (sharedKey) Public() *jose.JSONWebKey { return nil }

// Algs implements jose.OpaqueSigner.
func (sharedKey) Algs() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512}
}

// SignPayload implements jose.OpaqueSigner.
func (k sharedKey) SignPayload(payload []byte, algorithm jose.SignatureAlgorithm) ([]byte, error) {
	hash := map[jose.SignatureAlgorithm]func() hash.Hash{jose.HS256: sha256.New, jose.HS384: sha512.New384, jose.HS512: sha512.New}[algorithm]
	if hash == nil {
		return nil, errUnsigned
	}
	mac := hmac.New(hash, []byte(k.Reveal()))
	mac.Write(payload)
	return mac.Sum(nil), nil
}
