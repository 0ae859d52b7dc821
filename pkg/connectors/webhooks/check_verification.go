package webhooks

import (
	"maps"
	"net/url"
	"slices"
)

func checkVerification(c *check, field string, v *Verification) {
	oneOf(c, field+".scheme", v.Scheme, SchemeHMAC, SchemeDigest, SchemeEd25519, SchemeECDSA, SchemeRSA,
		SchemeJWT, SchemeSharedSecret, SchemeUnsigned, SchemeHook)
	c.conditions(field+".when", v.When)
	switch v.Scheme {
	case SchemeUnsigned, SchemeHook:
		checkNoSettings(c, field, v)
		return
	case SchemeHMAC, SchemeDigest, SchemeRSA:
		oneOf(c, field+".algorithm", v.Algorithm, SHA1, SHA256, SHA512)
	case SchemeECDSA:
		oneOf(c, field+".algorithm", v.Algorithm, SHA256)
	default:
		c.unset(field, "algorithm", v.Algorithm != "", v.Scheme)
	}
	c.requiredSource(field+".signature", v.Signature, v.references()...)
	checkEncoding(c, field, v)
	checkSigned(c, field, v)
	checkKey(c, field, v)
	checkTimestamp(c, field, v)
	checkBodyHash(c, field, v)
	checkJWT(c, field, v)
	c.fieldPath(field+".each", v.Each)
}

// references are the places where a signature or timestamp can be.
func (v *Verification) references() []string {
	allowed := []string{"header", "query", "form.", "body."}
	if v.Each != "" {
		allowed = append(allowed, "each")
	}
	return allowed
}

// unset reports a setting that the scheme does not use.
func (c *check) unset(field, name string, isSet bool, scheme Scheme) {
	if isSet {
		c.fail(field+"."+name, "cannot be used with the scheme %q", scheme)
	}
}

// checkNoSettings reports every setting beside a scheme that has none.
func checkNoSettings(c *check, field string, v *Verification) {
	c.unset(field, "signature", v.Signature != (Source{}), v.Scheme)
	c.unset(field, "encoding", v.Encoding != "", v.Scheme)
	c.unset(field, "algorithm", v.Algorithm != "", v.Scheme)
	c.unset(field, "signed", v.Signed != "", v.Scheme)
	c.unset(field, "key", v.Key.CertificateURL != "" || v.Key.Prefix != "" || v.Key.Encoding != "", v.Scheme)
	c.unset(field, "timestamp", v.Timestamp != nil, v.Scheme)
	c.unset(field, "each", v.Each != "", v.Scheme)
	c.unset(field, "body_hash", v.BodyHash != nil, v.Scheme)
	c.unset(field, "jwt", v.JWT != nil, v.Scheme)
	if v.Scheme == SchemeHook && c.descriptor.Hook == nil {
		c.fail(field+".scheme", "%q needs the Go function Hook", SchemeHook)
	}
}

func checkEncoding(c *check, field string, v *Verification) {
	switch v.Scheme {
	case SchemeJWT:
		c.unset(field, "encoding", v.Encoding != "", v.Scheme)
	case SchemeSharedSecret:
		oneOf(c, field+".encoding", v.Encoding, "", EncodingText, EncodingBase64)
	default:
		oneOf(c, field+".encoding", v.Encoding, EncodingHex, EncodingHexUpper, EncodingBase64, EncodingBase64URL)
	}
}

func checkSigned(c *check, field string, v *Verification) {
	switch v.Scheme {
	case SchemeJWT, SchemeSharedSecret:
		c.unset(field, "signed", v.Signed != "", v.Scheme)
		return
	}
	allowed := append(v.references(), "method", "url", "form", "body")
	if v.Timestamp != nil {
		allowed = append(allowed, "timestamp")
	}
	if c.descriptor.Delivery.ID != "" {
		allowed = append(allowed, "id")
	}
	if v.Scheme == SchemeDigest {
		allowed = append(allowed, "secret")
	}
	t := c.template(field+".signed", v.Signed, allowed...)
	if len(t.References()) == 0 {
		c.fail(field+".signed", "has no placeholder: name what is signed, e.g. {body}")
	}
	// {secret} alone: an alternative in its place would make the secret optional.
	isSecret := func(p TemplatePart) bool { return len(p.Refs) == 1 && p.Refs[0].Kind == "secret" }
	if v.Scheme == SchemeDigest && !slices.ContainsFunc(t, isSecret) {
		c.fail(field+".signed", "must contain {secret}: anybody can compute a digest without one")
	}
}

func checkKey(c *check, field string, v *Verification) {
	if v.Key.CertificateURL != "" {
		if v.Scheme != SchemeRSA && v.Scheme != SchemeECDSA {
			c.unset(field, "key.certificate_url", true, v.Scheme)
		}
		c.source(field+".key.certificate_url", Source{From: v.Key.CertificateURL}, "header", "body.")
		c.urlPatterns(field+".key.addresses", v.Key.Addresses, true)
		if v.Key.Encoding != "" || v.Key.Prefix != "" {
			c.fail(field+".key", "cannot have an encoding or prefix beside certificate_url")
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

func checkTimestamp(c *check, field string, v *Verification) {
	if v.Timestamp == nil {
		return
	}
	c.unset(field, "timestamp", v.Scheme == SchemeJWT, v.Scheme) // exp is checked
	field += ".timestamp"
	c.requiredSource(field, v.Timestamp.Source, v.references()...)
	oneOf(c, field+".format", v.Timestamp.Format, "", UnixSeconds, UnixMillis, RFC3339)
	c.duration(field+".tolerance", v.Timestamp.Tolerance)
	c.duration(field+".future", v.Timestamp.Future)
}

func checkBodyHash(c *check, field string, v *Verification) {
	if v.BodyHash == nil {
		return
	}
	field += ".body_hash"
	allowed := []string{"header", "query"}
	if v.Scheme == SchemeJWT {
		allowed = []string{"claim"}
	}
	c.requiredSource(field, Source{From: v.BodyHash.From}, allowed...)
	oneOf(c, field+".algorithm", v.BodyHash.Algorithm, SHA1, SHA256, SHA512)
	oneOf(c, field+".encoding", v.BodyHash.Encoding, EncodingHex, EncodingHexUpper, EncodingBase64, EncodingBase64URL)
}

func checkJWT(c *check, field string, v *Verification) {
	if v.Scheme != SchemeJWT {
		c.unset(field, "jwt", v.JWT != nil, v.Scheme)
		return
	}
	field += ".jwt"
	if v.JWT == nil {
		c.fail(field, "is required")
		return
	}
	oneOf(c, field+".algorithm", v.JWT.Algorithm, "HS256", "RS256")
	u, err := url.Parse(v.JWT.JWKS)
	switch {
	case v.JWT.Algorithm == "RS256" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil):
		c.fail(field+".jwks", "%q is not an https URL", v.JWT.JWKS)
	case v.JWT.Algorithm == "HS256" && v.JWT.JWKS != "":
		c.fail(field+".jwks", "cannot be used with HS256, which is verified with the secret")
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
		c.fail(field+".audience", "is required unless there is an issuer: any token of the key set would be accepted")
	}
}
