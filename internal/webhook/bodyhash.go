package webhook

import (
	"crypto/subtle"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// bodyHash is a compiled webhooks.BodyHash.
type bodyHash struct {
	ref       reference // unless claim is set
	claim     []string
	algorithm algorithm
	encoding  webhooks.Encoding
	optional  bool
}

func compileBodyHash(b *webhooks.BodyHash) *bodyHash {
	if b == nil {
		return nil
	}
	c := &bodyHash{algorithm: algorithms[b.Algorithm], encoding: b.Encoding, optional: b.Optional}
	if name, ok := strings.CutPrefix(b.From, "claim."); ok {
		c.claim = strings.Split(name, ".")
	} else {
		c.ref = compileFrom(b.From)
	}
	return c
}

// holds reports whether the digest at the reference is the body's.
func (b *bodyHash) holds(v *view) bool {
	text, ok := v.single(b.ref)
	return b.matches(v, text, ok)
}

// holdsClaim is holds for a digest among a token's claims.
func (b *bodyHash) holdsClaim(v *view, claims document) bool {
	text, ok := claims.find(b.claim).text()
	return b.matches(v, text, ok)
}

func (b *bodyHash) matches(v *view, text string, there bool) bool {
	if !there {
		return b.optional
	}
	got, ok := decodeSized(nil, text, b.encoding, b.algorithm.size)
	if !ok {
		return false
	}
	h := b.algorithm.new()
	h.Write(v.request.Body)
	return subtle.ConstantTimeCompare(got, h.Sum(nil)) == 1
}
