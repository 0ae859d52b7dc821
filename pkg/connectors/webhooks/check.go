package webhooks

import (
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// Check returns everything in the descriptor that the engine could not carry out, as one
// [schema.FieldErrors]. A webhook without Verify is invalid: one that is not signed has
// the scheme "unsigned".
func (d *Descriptor) Check() error {
	c := &check{descriptor: d}
	c.methods("methods", d.Methods)
	if d.MaxBody < 0 || d.MaxBody > LargestMaxBody {
		c.fail("max_body", "%d is not between 0 and %d", d.MaxBody, LargestMaxBody)
	}
	c.fieldPath("secret_field", d.SecretField)
	c.fieldPath("token_field", d.TokenField)
	oneOf(c, "app_secret", d.AppSecret, "", AppWebhookSecret, AppClientSecret)
	if d.NeedsSecret() && d.SecretField == "" && d.AppSecret == "" {
		c.fail("secret_field", "is required, unless app_secret is set")
	}
	if len(d.Verify) == 0 {
		c.fail("verify", "is empty: use the scheme %q for a webhook without signatures", SchemeUnsigned)
	}
	c.atMost("verify", len(d.Verify))
	for i := range d.Verify {
		checkVerification(c, fmt.Sprintf("verify.%d", i), &d.Verify[i])
	}
	if d.mixesPublicKeysAndSecrets() {
		c.fail("verify", "cannot mix public keys and secrets: a public key would be accepted as a secret")
	}
	for name, text := range map[string]string{"id": d.Delivery.ID, "type": d.Delivery.Type, "sequence": d.Delivery.Sequence} {
		c.template("delivery."+name, text, "method", "header", "query", "form.", "body.")
	}
	c.template("delivery.account", d.Delivery.Account, "header", "query", "form.", "body.", anyElement)
	c.atMost("handshakes", len(d.Handshakes))
	for i := range d.Handshakes {
		checkHandshake(c, fmt.Sprintf("handshakes.%d", i), &d.Handshakes[i])
	}
	checkAnswer(c, &d.Answer)
	if len(c.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(c.problems, func(a, b schema.FieldError) int { return strings.Compare(a.Path, b.Path) })
	return c.problems
}

// NeedsSecret reports whether some verification needs a configured secret or public key.
func (d *Descriptor) NeedsSecret() bool {
	return slices.ContainsFunc(d.Verify, func(v Verification) bool { return v.needsSecret() })
}

func (v *Verification) needsSecret() bool {
	switch v.Scheme {
	case SchemeUnsigned, SchemeHook:
		return false
	case SchemeECDSA, SchemeRSA:
		return v.Key.CertificateURL == ""
	case SchemeJWT:
		if v.JWT == nil || v.JWT.JWKS == "" || strings.Contains(v.JWT.Audience, "{secret}") {
			return true
		}
		for _, text := range v.JWT.Claims {
			if strings.Contains(text, "{secret}") {
				return true
			}
		}
		return false
	}
	return true
}

// mixesPublicKeysAndSecrets reports whether a public key, which everybody may know, could
// be used as a secret, because both are the same configured value.
func (d *Descriptor) mixesPublicKeysAndSecrets() bool {
	var public, shared bool
	for _, v := range d.Verify {
		switch v.Scheme {
		case SchemeEd25519, SchemeECDSA, SchemeRSA:
			public = public || v.Key.CertificateURL == ""
		case SchemeHMAC, SchemeDigest, SchemeSharedSecret:
			shared = true
		case SchemeJWT:
			shared = shared || v.needsSecret()
		}
	}
	return public && shared
}

func checkAnswer(c *check, a *Answer) {
	c.success("answer.status", a.Status)
	if a.Body != "" && a.Status == http.StatusNoContent {
		c.fail("answer.body", "is not allowed with status 204")
	}
	if (a.Body == "") != (a.ContentType == "") {
		c.fail("answer.content_type", "must be set with a body, and not without one")
	}
	if a.ContentType != "" {
		if _, _, err := mime.ParseMediaType(a.ContentType); err != nil {
			c.fail("answer.content_type", "%q is not a media type: %v", a.ContentType, err)
		}
	}
}

// check collects the problems of one descriptor.
type check struct {
	descriptor *Descriptor
	problems   schema.FieldErrors
}

func (c *check) fail(field, format string, args ...any) {
	c.problems = append(c.problems, schema.FieldError{Path: field, Message: fmt.Sprintf(format, args...)})
}

// oneOf requires a known value. The empty value among them means that the field is
// optional.
func oneOf[T ~string](c *check, field string, value T, known ...T) {
	if slices.Contains(known, value) {
		return
	}
	var names []string
	for _, k := range known {
		if k != "" {
			names = append(names, string(k))
		}
	}
	c.fail(field, "is unknown: %q; use one of %s", string(value), strings.Join(names, ", "))
}

// maxAlternatives limits the work that one request can cause.
const maxAlternatives = 20

func (c *check) atMost(field string, n int) {
	if n > maxAlternatives {
		c.fail(field, "has %d entries, at most %d are allowed", n, maxAlternatives)
	}
}

func (c *check) methods(field string, methods []string) {
	for i, m := range methods {
		if !token.MatchString(m) || m != strings.ToUpper(m) || m == "CONNECT" || m == "TRACE" {
			c.fail(fmt.Sprintf("%s.%d", field, i), "%q is not a method that can be used here", m)
		}
	}
}

func (c *check) fieldPath(field, path string) {
	if path != "" && !dottedPath.MatchString(path) {
		c.fail(field, "%q is not a dotted path", path)
	}
}

// template requires a template that uses only the allowed references: kinds, or
// a kind with a dot where only the named form is allowed.
func (c *check) template(field, text string, allowed ...string) Template {
	t, err := ParseTemplate(text)
	if err != nil {
		c.fail(field, "%v", err)
		return nil
	}
	for _, ref := range t.References() {
		c.reference(field, ref, allowed)
	}
	return t
}

// anyElement among the allowed references permits the step * in a path.
const anyElement = "*"

func (c *check) reference(field string, ref Reference, allowed []string) {
	if ref.HasWildcard() && !slices.Contains(allowed, anyElement) {
		c.fail(field, "{%s}: * can only be used in delivery.account", ref)
		return
	}
	if slices.Contains(allowed, ref.Kind) || ref.Name != "" && slices.Contains(allowed, ref.Kind+".") {
		return
	}
	c.fail(field, "{%s} cannot be used here", ref)
}

// requiredSource requires the place of a value.
func (c *check) requiredSource(field string, s Source, allowed ...string) {
	if s.From == "" {
		c.fail(field+".from", "is required")
		return
	}
	c.source(field, s, allowed...)
}

// source checks the place of a value, if it is set.
func (c *check) source(field string, s Source, allowed ...string) {
	if s == (Source{}) {
		return
	}
	if s.From == "" {
		c.fail(field+".from", "is required because there is a separator or prefix")
		return
	}
	ref, err := ParseReference(s.From)
	if err != nil {
		c.fail(field+".from", "%v", err)
		return
	}
	c.reference(field+".from", ref, allowed)
}

func (c *check) conditions(field string, when []Match) {
	for i, m := range when {
		field := fmt.Sprintf("%s.%d", field, i)
		c.requiredSource(field, Source{From: m.From}, "method", "header", "query", "form.", "body")
		if countTrue(m.Equals != "", m.Prefix != "", m.Present, m.Absent, m.Empty) != 1 {
			c.fail(field, "must have exactly one of equals, prefix, present, absent, empty")
		}
	}
}

func countTrue(conditions ...bool) (n int) {
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}

func (c *check) urlPatterns(field string, patterns []string, required bool) {
	if required && len(patterns) == 0 {
		c.fail(field, "is required: list the URLs that may be requested")
	}
	for i, p := range patterns {
		if _, err := ParseURLPattern(p); err != nil {
			c.fail(fmt.Sprintf("%s.%d", field, i), "%v", err)
		}
	}
}

// success requires a status of 2xx, or 0 for the default.
func (c *check) success(field string, status int) {
	if status != 0 && (status < 200 || status > 299) {
		c.fail(field, "%d is not 2xx", status)
	}
}

// maxTolerance is beyond any provider's; a greater one would protect from nothing.
const maxTolerance = Duration(24 * time.Hour)

func (c *check) duration(field string, d Duration) {
	if d < 0 || d > maxTolerance {
		c.fail(field, "%s is not between 0 and 24h", time.Duration(d))
	}
}
