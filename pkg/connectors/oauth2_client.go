package connectors

import (
	"cmp"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/secret"
)

// ClientAuth is how an OAuth client authenticates at the token endpoint. Where that needs
// a key or a certificate, it is the client secret of the app: sealed, and tried in order,
// like any.
type ClientAuth string

// The methods of client authentication.
const (
	ClientAuthBody  ClientAuth = "body"  // the secret, in the body
	ClientAuthBasic ClientAuth = "basic" // the secret, in the Authorization header
	// ClientAuthBasicPlain is basic for providers that do not decode id and secret (RFC 6749
	// section 2.3.1 demands that both are form-encoded first).
	ClientAuthBasicPlain ClientAuth = "basic_plain"
	// ClientAuthSecretJWT signs a JWT with the secret (OpenID Connect Core 9).
	ClientAuthSecretJWT ClientAuth = "client_secret_jwt"
	// ClientAuthKeyJWT signs a JWT with a private key (RFC 7523): the secret is the
	// key, in PEM (PKCS #8, PKCS #1, SEC 1) or as a JWK. The JWT has the JWK's kid, and
	// the thumbprint of a certificate beside the key.
	ClientAuthKeyJWT ClientAuth = "private_key_jwt"
	// ClientAuthTLS presents a certificate (RFC 8705 section 2): the secret is its
	// chain, with its key, in PEM or as a JWK with x5c.
	ClientAuthTLS ClientAuth = "tls_client_auth"
)

var clientAuths = []ClientAuth{ClientAuthBody, ClientAuthBasic, ClientAuthBasicPlain, ClientAuthSecretJWT, ClientAuthKeyJWT, ClientAuthTLS}

// SignsJWT reports whether the client authenticates by a JWT.
func (a ClientAuth) SignsJWT() bool { return a == ClientAuthSecretJWT || a == ClientAuthKeyJWT }

// NeedsKey reports whether the client secret is a private key.
func (a ClientAuth) NeedsKey() bool { return a == ClientAuthKeyJWT || a == ClientAuthTLS }

// UsesClientCertificate reports whether the client presents a certificate to the token
// endpoint.
func (o *OAuth2) UsesClientCertificate() bool {
	return o.ClientAuth == ClientAuthTLS || o.MTLS || o.Certificate != ""
}

// Assertion changes the JWTs that a client signs: of ClientAuth, of [Mint] and of
// [Repair]. Their iss and sub are the client's id, their aud the token URL (there is none
// in a repair); they have a jti and expire after a minute.
type Assertion struct {
	// Algorithm is the signature algorithm. "" is chosen by the key: as the JWK says, else
	// RS256, ES256, ES384, ES512 or EdDSA; HS256 with a secret that is no key.
	Algorithm string `json:"algorithm,omitempty" yaml:"algorithm,omitempty"`
	// Claims are added, or replace iss, sub and aud: name → template. One whose field is
	// absent is left out.
	Claims map[string]string `json:"claims,omitempty" yaml:"claims,omitempty"`
	// ScopeClaim is the claim that carries the scopes of a [Mint]; "" means that the
	// parameter scope does.
	ScopeClaim string `json:"scope_claim,omitempty" yaml:"scope_claim,omitempty"`
}

// Algorithms of assertions.
var (
	secretAlgorithms = []string{"", "HS256", "HS384", "HS512"}
	keyAlgorithms    = []string{"", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)

// timeClaims are set in each assertion.
var timeClaims = []string{"iat", "exp", "nbf", "jti"}

// TokenBody is how the parameters of a token request are encoded.
type TokenBody string

// The encodings of token requests.
const (
	TokenBodyForm  TokenBody = "form"
	TokenBodyJSON  TokenBody = "json"  // an object of strings
	TokenBodyQuery TokenBody = "query" // in the URL; the body is empty
	// TokenBodyXML is a document with the root element TokenRoot. A parameter's name
	// is the dotted path of an element in it, with an @ before that of an attribute:
	// "credentials.@name" is <request><credentials name="…">.
	TokenBodyXML TokenBody = "xml"
)

var tokenBodies = []TokenBody{TokenBodyForm, TokenBodyJSON, TokenBodyQuery, TokenBodyXML}

// XMLRoot returns the name of the root element of XML bodies.
func (o *OAuth2) XMLRoot() string { return cmp.Or(o.TokenRoot, "request") }

// Client is an OAuth client.
type Client struct {
	ID     string
	Secret Secret
	// Extra are further keys of the operator's at the provider, by the names that templates
	// use: ${app.extra.<name>}.
	Extra map[string]Secret
}

// values returns what templates may name of the client.
func (c Client) values() configValues {
	extra := map[string]any{}
	for name, key := range c.Extra {
		extra[name] = key.Reveal()
	}
	return configValues{"client_id": c.ID, "client_secret": c.Secret.Reveal(), "extra": extra}
}

// ConfigClient returns the client that the tenant's config brings. It returns nil if the
// client is the operator's: OAuth2.ClientID is "".
func (c *Connector) ConfigClient(config []byte) (*Client, error) {
	o := c.Auth.OAuth2
	if o == nil || o.ClientID == "" {
		return nil, nil
	}
	values, wrong := decodeConfig(config)
	if wrong != nil {
		return nil, c.unresolved(*wrong)
	}
	id, wrong := expandSecret(o.ClientID, "client id", values)
	if wrong != nil {
		return nil, c.unresolved(*wrong)
	}
	// A private key may have lines: it is never put into a header.
	expand := expandSecret
	if o.ClientAuth.NeedsKey() {
		expand = expandKey
	}
	clientSecret, wrong := expand(o.ClientSecret, "client secret", values)
	if wrong != nil {
		return nil, c.unresolved(*wrong)
	}
	return &Client{ID: id.Reveal(), Secret: clientSecret}, nil
}

// ClientCertificate returns the certificate that the tenant's config brings, with its
// key; the zero value if the connector has no template for one.
func (c *Connector) ClientCertificate(config []byte) (Secret, error) {
	template := c.Auth.OAuth2.Certificate
	if template == "" {
		return Secret{}, nil
	}
	values, wrong := decodeConfig(config)
	if wrong != nil {
		return Secret{}, c.unresolved(*wrong)
	}
	certificate, wrong := expandKey(template, "certificate", values)
	if wrong != nil {
		return Secret{}, c.unresolved(*wrong)
	}
	return certificate, nil
}

// expandSecret fills a template in. what names the template in errors.
func expandSecret(template, what string, config configValues) (Secret, *schema.FieldError) {
	t, err := parseValueTemplate(template)
	if err != nil {
		return Secret{}, &schema.FieldError{Message: "the template of the " + what + " " + err.Error()}
	}
	text, wrong := t.expand(config)
	return secret.New(text), wrong
}

// expandKey is expandSecret for PEM and JWK: a field that is the whole template may
// hold line breaks.
func expandKey(template, what string, config configValues) (Secret, *schema.FieldError) {
	if t, err := parseValueTemplate(template); err == nil && len(t) == 1 && t[0].field != "" {
		value, _ := config.lookup(t[0].field)
		if text, ok := value.(string); ok {
			return secret.New(text), nil
		}
	}
	return expandSecret(template, what, config)
}
