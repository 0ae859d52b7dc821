package webhooks

import (
	"maps"
	"net/url"
	"slices"
)

func (c *webhookCheck) verification(field string, v *Verification) {
	oneOf(c, field+".scheme", v.Scheme, SchemeHMAC, SchemeDigest, SchemeEd25519, SchemeECDSA, SchemeRSA,
		SchemeJWT, SchemeSharedSecret, SchemeUnsigned, SchemeHook)
	c.matches(field+".when", v.When)
	switch v.Scheme {
	case SchemeUnsigned, SchemeHook:
		c.bare(field, v)
		return
	case SchemeHMAC, SchemeDigest:
		oneOf(c, field+".algorithm", v.Algorithm, SHA1, SHA256, SHA512)
	case SchemeRSA:
		oneOf(c, field+".algorithm", v.Algorithm, SHA1, SHA256, SHA512)
	case SchemeECDSA:
		oneOf(c, field+".algorithm", v.Algorithm, SHA256)
	default:
		c.unset(field, "algorithm", v.Algorithm != "", v.Scheme)
	}
	c.source(field+".signature", v.Signature, true, c.places(v)...)
	c.encoding(field, v)
	c.signed(field, v)
	c.key(field, v)
	c.timestamp(field, v)
	c.bodyHash(field, v)
	c.jwt(field, v)
	if v.Each != "" && !dottedPath.MatchString(v.Each) {
		c.fail(field+".each", "%q is not a dotted path", v.Each)
	}
}

// places are the references that a signature or timestamp can stand at.
func (c *webhookCheck) places(v *Verification) []string {
	allowed := []string{"header", "query", "form.", "body."}
	if v.Each != "" {
		allowed = append(allowed, "each")
	}
	return allowed
}

func (c *webhookCheck) unset(field, name string, set bool, scheme Scheme) {
	if set {
		c.fail(field+"."+name, "does not belong to the scheme %q", scheme)
	}
}

// bare refuses every setting beside a scheme that reads none.
func (c *webhookCheck) bare(field string, v *Verification) {
	c.unset(field, "signature", v.Signature != (Source{}), v.Scheme)
	c.unset(field, "encoding", v.Encoding != "", v.Scheme)
	c.unset(field, "algorithm", v.Algorithm != "", v.Scheme)
	c.unset(field, "signed", v.Signed != "", v.Scheme)
	c.unset(field, "key", v.Key.CertificateURL != "" || v.Key.Prefix != "" || v.Key.Encoding != "", v.Scheme)
	c.unset(field, "timestamp", v.Timestamp != nil, v.Scheme)
	c.unset(field, "each", v.Each != "", v.Scheme)
	c.unset(field, "body_hash", v.BodyHash != nil, v.Scheme)
	c.unset(field, "jwt", v.JWT != nil, v.Scheme)
	if v.Scheme == SchemeHook && c.webhook.Hook == nil {
		c.fail(field+".scheme", "%q without the Go function Webhook.Hook", SchemeHook)
	}
}

func (c *webhookCheck) encoding(field string, v *Verification) {
	switch v.Scheme {
	case SchemeJWT:
		c.unset(field, "encoding", v.Encoding != "", v.Scheme)
	case SchemeSharedSecret:
		oneOf(c, field+".encoding", v.Encoding, "", EncodingText, EncodingBase64)
	default:
		oneOf(c, field+".encoding", v.Encoding, EncodingHex, EncodingHexUpper, EncodingBase64, EncodingBase64URL)
	}
}

func (c *webhookCheck) signed(field string, v *Verification) {
	switch v.Scheme {
	case SchemeJWT, SchemeSharedSecret:
		c.unset(field, "signed", v.Signed != "", v.Scheme)
		return
	}
	allowed := append(c.places(v), "method", "url", "form", "body")
	if v.Timestamp != nil {
		allowed = append(allowed, "timestamp")
	}
	if c.webhook.Delivery.ID != "" {
		allowed = append(allowed, "id")
	}
	if v.Scheme == SchemeDigest {
		allowed = append(allowed, "secret")
	}
	t := c.template(field+".signed", v.Signed, allowed...)
	refs := t.References()
	if len(refs) == 0 {
		c.fail(field+".signed", "has no placeholder: say what is signed, e.g. {body}")
	}
	if v.Scheme == SchemeDigest && !slices.ContainsFunc(t, isSecretPart) {
		c.fail(field+".signed", "a plain digest needs {secret}, or anybody could make it")
	}
}

// isSecretPart reports whether the part is {secret} and nothing that could
// stand in its place.
func isSecretPart(p TemplatePart) bool { return len(p.Refs) == 1 && p.Refs[0].Kind == "secret" }

func (c *webhookCheck) key(field string, v *Verification) {
	if v.Key.CertificateURL != "" {
		if v.Scheme != SchemeRSA && v.Scheme != SchemeECDSA {
			c.unset(field, "key.certificate_url", true, v.Scheme)
		}
		c.source(field+".key.certificate_url", Source{From: v.Key.CertificateURL}, true, "header", "body.")
		c.addresses(field+".key.addresses", v.Key.Addresses, true)
		if v.Key.Encoding != "" || v.Key.Prefix != "" {
			c.fail(field+".key", "a key from certificate_url has no encoding or prefix")
		}
		return
	}
	c.unset(field, "key.addresses", len(v.Key.Addresses) > 0, v.Scheme)
	switch v.Scheme {
	case SchemeEd25519, SchemeECDSA, SchemeRSA:
		oneOf(c, field+".key.encoding", v.Key.Encoding, EncodingHex, EncodingBase64, EncodingBase64URL, EncodingPEM)
	case SchemeHMAC, SchemeJWT:
		oneOf(c, field+".key.encoding", v.Key.Encoding, "", EncodingText, EncodingHex, EncodingBase64, EncodingBase64URL)
	default:
		c.unset(field, "key", v.Key.Encoding != "" || v.Key.Prefix != "", v.Scheme)
	}
}

func (c *webhookCheck) timestamp(field string, v *Verification) {
	if v.Timestamp == nil {
		return
	}
	field += ".timestamp"
	if v.Scheme == SchemeJWT {
		c.fail(field, "does not belong to the scheme %q: exp is checked", v.Scheme)
	}
	c.source(field, v.Timestamp.Source, true, c.places(v)...)
	oneOf(c, field+".format", v.Timestamp.Format, "", UnixSeconds, UnixMillis, RFC3339)
	c.duration(field+".tolerance", v.Timestamp.Tolerance)
	c.duration(field+".future", v.Timestamp.Future)
}

func (c *webhookCheck) bodyHash(field string, v *Verification) {
	if v.BodyHash == nil {
		return
	}
	field += ".body_hash"
	allowed := []string{"header", "query"}
	if v.Scheme == SchemeJWT {
		allowed = []string{"claim"}
	}
	c.source(field, Source{From: v.BodyHash.From}, true, allowed...)
	oneOf(c, field+".algorithm", v.BodyHash.Algorithm, SHA1, SHA256, SHA512)
	oneOf(c, field+".encoding", v.BodyHash.Encoding, EncodingHex, EncodingHexUpper, EncodingBase64, EncodingBase64URL)
}

func (c *webhookCheck) jwt(field string, v *Verification) {
	field += ".jwt"
	if v.Scheme != SchemeJWT {
		if v.JWT != nil {
			c.fail(field, "does not belong to the scheme %q", v.Scheme)
		}
		return
	}
	if v.JWT == nil {
		c.fail(field, "missing")
		return
	}
	oneOf(c, field+".algorithm", v.JWT.Algorithm, "HS256", "RS256")
	u, err := url.Parse(v.JWT.JWKS)
	switch {
	case v.JWT.Algorithm == "RS256" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil):
		c.fail(field+".jwks", "%q is not an https address", v.JWT.JWKS)
	case v.JWT.Algorithm == "HS256" && v.JWT.JWKS != "":
		c.fail(field+".jwks", "HS256 is verified with the secret")
	}
	c.template(field+".audience", v.JWT.Audience, "url", "secret")
	for _, name := range slices.Sorted(maps.Keys(v.JWT.Claims)) {
		if !dottedPath.MatchString(name) {
			c.fail(field+".claims", "%q is not a dotted path", name)
		}
		c.template(field+".claims."+name, v.JWT.Claims[name], "url", "secret")
	}
	c.duration(field+".leeway", v.JWT.Leeway)
	if v.JWT.Algorithm == "RS256" && len(v.JWT.Issuer) == 0 && v.JWT.Audience == "" {
		c.fail(field+".audience", "without issuer and audience any token of that key set would do")
	}
}
