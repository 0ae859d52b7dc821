package webhook

import (
	"crypto/subtle"
	"strings"

	"github.com/hawser-io/hawser/internal/jsondoc"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// bodyHash is a compiled webhooks.BodyHash.
type bodyHash struct {
	ref       reference // unless claim is set
	claim     []string  // path among a token's claims
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
		c.ref = compileReference(b.From)
	}
	return c
}

// matches reports whether the digest at the reference is that of the body.
func (b *bodyHash) matches(in *input) bool {
	text, ok := in.single(b.ref)
	return b.compare(in, text, ok)
}

// matchesClaim reports whether the digest among a token's claims is that of the
// body.
func (b *bodyHash) matchesClaim(in *input, claims jsondoc.Value) bool {
	text, ok := scalar(claims.Find(b.claim...))
	return b.compare(in, text, ok)
}

func (b *bodyHash) compare(in *input, text string, present bool) bool {
	if !present {
		return b.optional
	}
	got, ok := decodeBounded(text, b.encoding, b.algorithm.size)
	if !ok {
		return false
	}
	h := b.algorithm.new()
	h.Write(in.request.Body)
	return subtle.ConstantTimeCompare(got, h.Sum(nil)) == 1
}
