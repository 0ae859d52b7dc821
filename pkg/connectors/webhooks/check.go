package webhooks

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Check reports everything in the webhook that the engine could not carry out,
// joined into one error of lines "<dotted path of the field>: <what is wrong>".
// A webhook without Verify is refused: one that is not signed says "unsigned".
func (w *Descriptor) Check() error {
	c := &webhookCheck{webhook: w}
	c.methods("methods", w.Methods)
	if w.MaxBody < 0 || w.MaxBody > LargestMaxBody {
		c.fail("max_body", "%d is not between 0 and %d", w.MaxBody, LargestMaxBody)
	}
	c.fieldPath("secret_field", w.SecretField)
	c.fieldPath("token_field", w.TokenField)
	oneOf(c, "app_secret", w.AppSecret, "", AppWebhookSecret, AppClientSecret)
	if len(w.Verify) == 0 {
		c.fail("verify", "empty; a webhook without signatures says so by the scheme %q", SchemeUnsigned)
	}
	c.atMost("verify", len(w.Verify))
	c.atMost("handshakes", len(w.Handshakes))
	for i := range w.Verify {
		c.verification(fmt.Sprintf("verify.%d", i), &w.Verify[i])
	}
	c.secretSource()
	c.confusion()
	for name, text := range map[string]string{
		"delivery.id": w.Delivery.ID, "delivery.type": w.Delivery.Type, "delivery.sequence": w.Delivery.Sequence,
	} {
		c.template(name, text, "method", "header", "query", "form.", "body.")
	}
	c.template("delivery.account", w.Delivery.Account, "header", "query", "form.", "body.", everyElement)
	for i := range w.Handshakes {
		c.handshake(fmt.Sprintf("handshakes.%d", i), &w.Handshakes[i])
	}
	c.answer(&w.Answer)
	slices.SortStableFunc(c.problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(c.problems...)
}

// NeedsSecret reports whether some way to verify cannot do without a
// configured secret or public key.
func (w *Descriptor) NeedsSecret() bool {
	return slices.ContainsFunc(w.Verify, func(v Verification) bool { return v.needsSecret() })
}

func (v *Verification) needsSecret() bool {
	switch v.Scheme {
	case SchemeUnsigned, SchemeHook:
		return false
	case SchemeECDSA, SchemeRSA:
		return v.Key.CertificateURL == ""
	case SchemeJWT:
		if v.JWT == nil || v.JWT.JWKS == "" {
			return true
		}
		uses := strings.Contains(v.JWT.Audience, "{secret}")
		for _, text := range v.JWT.Claims {
			uses = uses || strings.Contains(text, "{secret}")
		}
		return uses
	}
	return true
}

// webhookCheck collects problems.
type webhookCheck struct {
	webhook  *Descriptor
	problems []error
}

func (c *webhookCheck) fail(field, format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...)))
}

// oneOf demands that value is one of the known ones; the empty value among
// them means that the field may be left out.
func oneOf[T ~string](c *webhookCheck, field string, value T, known ...T) {
	if slices.Contains(known, value) {
		return
	}
	var names []string
	for _, k := range known {
		if k != "" {
			names = append(names, string(k))
		}
	}
	c.fail(field, "unknown %q; use one of %s", string(value), strings.Join(names, ", "))
}

// mostAlternatives bounds the work that one request can cause.
const mostAlternatives = 20

func (c *webhookCheck) atMost(field string, n int) {
	if n > mostAlternatives {
		c.fail(field, "%d entries; at most %d", n, mostAlternatives)
	}
}

func (c *webhookCheck) methods(field string, methods []string) {
	for i, m := range methods {
		if !token.MatchString(m) || m != strings.ToUpper(m) || m == "CONNECT" || m == "TRACE" {
			c.fail(fmt.Sprintf("%s.%d", field, i), "%q is not a method that can be used here", m)
		}
	}
}

func (c *webhookCheck) fieldPath(field, path string) {
	if path != "" && !dottedPath.MatchString(path) {
		c.fail(field, "%q is not a dotted path", path)
	}
}

func (c *webhookCheck) secretSource() {
	w := c.webhook
	if w.NeedsSecret() && w.SecretField == "" && w.AppSecret == "" {
		c.fail("secret_field", "missing: set it, or app_secret")
	}
}

// confusion refuses ways that would take a public key, which everybody may
// know, for a secret, because they share the configured value.
func (c *webhookCheck) confusion() {
	var public, shared bool
	for _, v := range c.webhook.Verify {
		switch v.Scheme {
		case SchemeEd25519, SchemeECDSA, SchemeRSA:
			public = public || v.Key.CertificateURL == ""
		case SchemeHMAC, SchemeDigest, SchemeSharedSecret:
			shared = true
		case SchemeJWT:
			shared = shared || v.needsSecret()
		}
	}
	if public && shared {
		c.fail("verify", "public keys and secrets cannot be mixed: a public key would be accepted as a secret")
	}
}

// template demands a template that uses only the allowed references: kinds, or
// a kind with a dot where only the named form is allowed.
func (c *webhookCheck) template(field, text string, allowed ...string) Template {
	t, err := ParseTemplate(text)
	if err != nil {
		c.fail(field, "%v", err)
		return nil
	}
	for _, ref := range t.References() {
		c.allowed(field, ref, allowed)
	}
	return t
}

// everyElement among the allowed references permits the step * in a path.
const everyElement = "*"

func (c *webhookCheck) allowed(field string, ref Reference, allowed []string) {
	if ref.HasWildcard() && !slices.Contains(allowed, everyElement) {
		c.fail(field, "{%s}: * can only be used in delivery.account", ref)
		return
	}
	if slices.Contains(allowed, ref.Kind) || ref.Name != "" && slices.Contains(allowed, ref.Kind+".") {
		return
	}
	c.fail(field, "{%s} cannot be used here", ref)
}

// source demands a place of a value.
func (c *webhookCheck) source(field string, s Source, required bool, allowed ...string) {
	if s.From == "" {
		if required {
			c.fail(field+".from", "missing")
		} else if s != (Source{}) {
			c.fail(field+".from", "missing beside separator or prefix")
		}
		return
	}
	ref, err := ParseReference(s.From)
	if err != nil {
		c.fail(field+".from", "%v", err)
		return
	}
	c.allowed(field+".from", ref, allowed)
}

func (c *webhookCheck) match(field string, m Match) {
	ref, err := ParseReference(m.From)
	if err != nil {
		c.fail(field+".from", "%v", err)
		return
	}
	c.allowed(field+".from", ref, []string{"method", "header", "query", "form.", "body"})
	set := 0
	for _, is := range []bool{m.Equals != "", m.Prefix != "", m.Present, m.Absent, m.Empty} {
		if is {
			set++
		}
	}
	if set != 1 {
		c.fail(field, "set exactly one of equals, prefix, present, absent, empty")
	}
}

func (c *webhookCheck) matches(field string, when []Match) {
	for i, m := range when {
		c.match(fmt.Sprintf("%s.%d", field, i), m)
	}
}

func (c *webhookCheck) addresses(field string, patterns []string, required bool) {
	if required && len(patterns) == 0 {
		c.fail(field, "missing: say which addresses may be fetched")
	}
	for i, p := range patterns {
		if _, err := ParseURLPattern(p); err != nil {
			c.fail(fmt.Sprintf("%s.%d", field, i), "%v", err)
		}
	}
}

// longestTolerance is beyond any provider's; above it the check is none.
const longestTolerance = Duration(24 * time.Hour)

func (c *webhookCheck) duration(field string, d Duration) {
	if d < 0 || d > longestTolerance {
		c.fail(field, "%s is not between 0 and 24h", time.Duration(d))
	}
}
