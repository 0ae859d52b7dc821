package webhooks

import (
	"maps"
	"mime"
	"net/http"
	"slices"
)

func (c *webhookCheck) handshake(field string, h *Handshake) {
	if h.Name == "" {
		c.fail(field+".name", "missing")
	}
	c.methods(field+".methods", h.Methods)
	c.matches(field+".when", h.When)
	places := []string{"header", "query", "form.", "body."}
	c.source(field+".token", h.Token, false, places...)
	c.source(field+".capture", h.Capture, false, places...)
	if h.Capture.From != "" && c.webhook.SecretField == "" {
		c.fail(field+".capture", "there is no secret_field to keep it in")
	}
	if h.Capture.From != "" && h.Verified {
		c.fail(field+".verified", "a secret that is captured now cannot verify the call that brings it")
	}
	// Without any of these a POST handshake would swallow every delivery.
	if len(h.When) == 0 && h.Capture.From == "" && c.sharesMethod(h) {
		c.fail(field+".when", "missing: it would answer every delivery")
	}
	if h.Visit != "" {
		c.template(field+".visit", h.Visit, places...)
		if !h.Verified {
			c.fail(field+".verified", "an address to visit has to come from a verified call")
		}
	}
	c.addresses(field+".addresses", h.Addresses, h.Visit != "")
	c.response(field+".respond", &h.Respond)
}

// sharesMethod reports whether the handshake comes with a method of deliveries.
func (c *webhookCheck) sharesMethod(h *Handshake) bool {
	deliveries := (&Descriptor{Methods: c.webhook.Methods}).AllowedMethods()
	handshakes := (&Descriptor{Methods: h.Methods}).AllowedMethods()
	return slices.ContainsFunc(handshakes, func(m string) bool { return slices.Contains(deliveries, m) })
}

func (c *webhookCheck) answer(a *Answer) {
	if a.Status != 0 {
		c.success("answer.status", a.Status)
	}
	if a.Body != "" && a.Status == http.StatusNoContent {
		c.fail("answer.body", "a 204 has none")
	}
	if (a.Body == "") != (a.ContentType == "") {
		c.fail("answer.content_type", "belongs to a body: set both, or neither")
	}
	if a.ContentType != "" {
		if _, _, err := mime.ParseMediaType(a.ContentType); err != nil {
			c.fail("answer.content_type", "%q is none: %v", a.ContentType, err)
		}
	}
}

func (c *webhookCheck) success(field string, status int) {
	if status < 200 || status > 299 {
		c.fail(field, "%d is not 2xx", status)
	}
}

func (c *webhookCheck) response(field string, r *Response) {
	if r.Status != 0 {
		c.success(field+".status", r.Status)
	}
	places := []string{"header", "query", "form.", "body."}
	if r.HMAC != nil {
		oneOf(c, field+".hmac.algorithm", r.HMAC.Algorithm, SHA1, SHA256, SHA512)
		oneOf(c, field+".hmac.encoding", r.HMAC.Encoding, EncodingHex, EncodingHexUpper, EncodingBase64, EncodingBase64URL)
		if t := c.template(field+".hmac.over", r.HMAC.Over, append(places, "body")...); len(t.References()) == 0 {
			c.fail(field+".hmac.over", "has no placeholder")
		}
		places = append(places, "hmac")
	}
	set := 0
	for _, is := range []bool{r.Body != "", r.Text != "", r.JSON != nil} {
		if is {
			set++
		}
	}
	if set > 1 {
		c.fail(field, "set at most one of body, text, json")
	}
	c.template(field+".text", r.Text, places...)
	for _, name := range slices.Sorted(maps.Keys(r.JSON)) {
		c.template(field+".json."+name, r.JSON[name], places...)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		if !token.MatchString(name) {
			c.fail(field+".headers", "%q is not a header name", name)
		}
		c.template(field+".headers."+name, r.Headers[name], places...)
	}
}
