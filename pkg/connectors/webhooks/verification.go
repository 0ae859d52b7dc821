package webhooks

import (
	"time"

	"github.com/invopop/jsonschema"
)

// Verification is one accepted kind of signature. The scheme decides which fields are
// used; [Descriptor.Check] refuses the others.
type Verification struct {
	Scheme Scheme `json:"scheme" yaml:"scheme"`
	// When limits it to requests that match every condition.
	When []Match `json:"when,omitempty" yaml:"when,omitempty"`
	// Signature is where the signature, token or shared secret is.
	Signature Source `json:"signature,omitzero" yaml:"signature,omitempty"`
	// Encoding is the signature's encoding: hex or base64 (no default), for
	// shared secrets text (default) or base64 (HTTP basic).
	Encoding Encoding `json:"encoding,omitempty" yaml:"encoding,omitempty"`
	// Algorithm is the hash of hmac, digest, ecdsa and rsa.
	Algorithm Algorithm `json:"algorithm,omitempty" yaml:"algorithm,omitempty"`
	// Signed is the template of the signed bytes.
	Signed string `json:"signed,omitempty" yaml:"signed,omitempty"`
	// Key is how the configured secret becomes a key.
	Key Key `json:"key,omitzero" yaml:"key,omitempty"`
	// Timestamp, if set, has to be present and within its tolerance.
	Timestamp *Timestamp `json:"timestamp,omitempty" yaml:"timestamp,omitempty"`
	// Each is the dotted path of an array in the body whose every element
	// has its own signature; all have to be valid. "each.<path>" then refers to
	// the element.
	Each string `json:"each,omitempty" yaml:"each,omitempty"`
	// BodyHash, if set, is a digest of the body that the signature covers.
	BodyHash *BodyHash `json:"body_hash,omitempty" yaml:"body_hash,omitempty"`
	// JWT has the settings of the scheme jwt.
	JWT *JWT `json:"jwt,omitempty" yaml:"jwt,omitempty"`
}

// Scheme is a kind of verification.
type Scheme string

// The schemes.
const (
	SchemeHMAC         Scheme = "hmac"
	SchemeDigest       Scheme = "digest" // plain hash over a string that contains {secret}
	SchemeEd25519      Scheme = "ed25519"
	SchemeECDSA        Scheme = "ecdsa" // P-256, ASN.1 DER signatures
	SchemeRSA          Scheme = "rsa"   // PKCS #1 v1.5
	SchemeJWT          Scheme = "jwt"
	SchemeSharedSecret Scheme = "shared_secret" // equality
	SchemeUnsigned     Scheme = "unsigned"      // every request is accepted
	SchemeHook         Scheme = "hook"          // Descriptor.Hook verifies
)

// Algorithm is a hash function.
type Algorithm string

// The hash functions.
const (
	SHA1   Algorithm = "sha1"
	SHA256 Algorithm = "sha256"
	SHA512 Algorithm = "sha512"
)

// Encoding is how bytes are encoded as text. Only the canonical form is accepted:
// hex in lower case, base64 with padding, base64url without.
type Encoding string

// The encodings.
const (
	EncodingText      Encoding = "text"
	EncodingHex       Encoding = "hex"
	EncodingHexUpper  Encoding = "hex_upper"
	EncodingBase64    Encoding = "base64"
	EncodingBase64URL Encoding = "base64url"
	EncodingPEM       Encoding = "pem" // keys only: a public key or a certificate
)

// Source is the place of a value in a request.
type Source struct {
	// From is one reference: header.<Name>, query.<name>, form.<field>,
	// body.<dotted path> or each.<dotted path>.
	From string `json:"from,omitempty" yaml:"from,omitempty"`
	// Separator, if set, splits the value into several candidates.
	Separator string `json:"separator,omitempty" yaml:"separator,omitempty"`
	// Prefix has to begin a candidate and is removed; with a Separator,
	// candidates without it are ignored.
	Prefix string `json:"prefix,omitempty" yaml:"prefix,omitempty"`
}

// Key is how a configured secret becomes the bytes of a key.
type Key struct {
	// Prefix is removed if the secret begins with it ("whsec_").
	Prefix string `json:"prefix,omitempty" yaml:"prefix,omitempty"`
	// Encoding of the rest: text (default), hex (of either case), base64,
	// base64url or pem.
	// Public keys are raw (ed25519) or SPKI after decoding.
	Encoding Encoding `json:"encoding,omitempty" yaml:"encoding,omitempty"`
	// CertificateURL is a reference to the URL of the PEM certificate that
	// contains the public key, instead of a configured secret.
	CertificateURL string `json:"certificate_url,omitempty" yaml:"certificate_url,omitempty"`
	// Addresses are the patterns that the URL has to match: see [URLPattern].
	Addresses []string `json:"addresses,omitempty" yaml:"addresses,omitempty"`
}

// Timestamp is the time of a request, which its signature covers.
type Timestamp struct {
	Source `yaml:",inline"`
	Format TimeFormat `json:"format,omitempty" yaml:"format,omitempty"`
	// Tolerance is the greatest age. 0 means 5 min.
	Tolerance Duration `json:"tolerance,omitempty" yaml:"tolerance,omitempty"`
	// Future is how far ahead of our clock it may be. 0 means 60 s, or the
	// tolerance if that is less.
	Future Duration `json:"future,omitempty" yaml:"future,omitempty"`
}

// TimeFormat is the format of a timestamp.
type TimeFormat string

// The formats. Unix is the default.
const (
	UnixSeconds TimeFormat = "unix"    // whole seconds
	UnixMillis  TimeFormat = "unix_ms" // whole milliseconds
	RFC3339     TimeFormat = "rfc3339" // with or without a fraction
)

// Duration is a time.Duration that is a text ("5m0s") in JSON and YAML.
type Duration time.Duration

// MarshalText returns the text of time.Duration.String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText parses by time.ParseDuration.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// JSONSchema is the schema of a text.
func (Duration) JSONSchema() *jsonschema.Schema { return &jsonschema.Schema{Type: "string"} }

// BodyHash is a digest of the raw body inside what is signed.
type BodyHash struct {
	// From is a reference, or claim.<name> with the scheme jwt.
	From      string    `json:"from" yaml:"from"`
	Algorithm Algorithm `json:"algorithm" yaml:"algorithm"`
	Encoding  Encoding  `json:"encoding" yaml:"encoding"`
	// Optional accepts requests without it.
	Optional bool `json:"optional,omitempty" yaml:"optional,omitempty"`
}

// JWT is what a JSON Web Token has to contain. exp is always required and checked.
type JWT struct {
	// Algorithm is HS256 (key: the secret) or RS256 (keys: JWKS).
	Algorithm string `json:"algorithm" yaml:"algorithm"`
	// JWKS is the https URL of the provider's keys.
	JWKS string `json:"jwks,omitempty" yaml:"jwks,omitempty"`
	// Issuer lists the accepted issuers; none means that iss is not checked.
	Issuer []string `json:"issuer,omitempty" yaml:"issuer,omitempty"`
	// Audience is a template over {url} and {secret}; empty means unchecked.
	Audience string `json:"audience,omitempty" yaml:"audience,omitempty"`
	// Claims are further claims (dotted path → template over {url} and
	// {secret}) that have to be equal.
	Claims map[string]string `json:"claims,omitempty" yaml:"claims,omitempty"`
	// Leeway is the clock difference allowed for exp, nbf and iat. 0 means 60 s.
	Leeway Duration `json:"leeway,omitempty" yaml:"leeway,omitempty"`
}
