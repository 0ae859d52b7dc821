package webhooks

import (
	"maps"
	"slices"
)

// handshakeReferences are the values of a request that handshakes can use.
var handshakeReferences = []string{"header", "query", "form.", "body."}

func checkHandshake(c *check, field string, h *Handshake) {
	if h.Name == "" {
		c.fail(field+".name", "is required")
	}
	c.methods(field+".methods", h.Methods)
	c.conditions(field+".when", h.When)
	c.source(field+".token", h.Token, handshakeReferences...)
	c.source(field+".capture", h.Capture, handshakeReferences...)
	if h.Capture.From != "" && c.descriptor.SecretField == "" {
		c.fail(field+".capture", "needs secret_field, where the secret is stored")
	}
	if h.Capture.From != "" && h.Verified {
		c.fail(field+".verified", "cannot be used with capture: the captured secret cannot verify the call that brings it")
	}
	// Without any of these a POST handshake would answer every delivery.
	if len(h.When) == 0 && h.Capture.From == "" && sharesMethod(c.descriptor, h) {
		c.fail(field+".when", "is required: the handshake would answer every delivery")
	}
	if h.Visit != "" {
		c.template(field+".visit", h.Visit, handshakeReferences...)
		if !h.Verified {
			c.fail(field+".verified", "is required with visit: the URL has to come from a verified call")
		}
	}
	c.urlPatterns(field+".addresses", h.Addresses, h.Visit != "")
	checkResponse(c, field+".respond", &h.Respond)
}

// sharesMethod reports whether the handshake uses a method of deliveries.
func sharesMethod(d *Descriptor, h *Handshake) bool {
	deliveries := (&Descriptor{Methods: d.Methods}).AllowedMethods()
	handshakes := (&Descriptor{Methods: h.Methods}).AllowedMethods()
	return slices.ContainsFunc(handshakes, func(m string) bool { return slices.Contains(deliveries, m) })
}

func checkResponse(c *check, field string, r *Response) {
	c.success(field+".status", r.Status)
	allowed := slices.Clip(handshakeReferences)
	if r.HMAC != nil {
		oneOf(c, field+".hmac.algorithm", r.HMAC.Algorithm, SHA1, SHA256, SHA512)
		oneOf(c, field+".hmac.encoding", r.HMAC.Encoding, EncodingHex, EncodingHexUpper, EncodingBase64, EncodingBase64URL)
		if t := c.template(field+".hmac.over", r.HMAC.Over, append(allowed, "body")...); len(t.References()) == 0 {
			c.fail(field+".hmac.over", "has no placeholder")
		}
		allowed = append(allowed, "hmac")
	}
	if countTrue(r.Body != "", r.Text != "", r.JSON != nil) > 1 {
		c.fail(field, "must have at most one of body, text, json")
	}
	c.template(field+".text", r.Text, allowed...)
	for _, name := range slices.Sorted(maps.Keys(r.JSON)) {
		c.template(field+".json."+name, r.JSON[name], allowed...)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		if !token.MatchString(name) {
			c.fail(field+".headers", "%q is not a header name", name)
		}
		c.template(field+".headers."+name, r.Headers[name], allowed...)
	}
}
