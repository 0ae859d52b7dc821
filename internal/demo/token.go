package demo

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// Codes and tokens carry the id of their grant, so that a used one is still
// recognised however many have come after it:
//
//	dac_ base64url( grant id 16 B | serial 24 B )               authorization code
//	dat_ base64url( grant id 16 B | serial 24 B )               access token
//	drt_ base64url( grant id 16 B | family 24 B | serial 24 B ) refresh token
//
// The serial is random. The family is random too, the same for all refresh
// tokens of a grant, and known only to who has held one of them: a refresh
// token of the right family that is not the current one is a replay, not a
// guess. The provider keeps SHA-256 hashes only.
const (
	codePrefix    = "dac_"
	accessPrefix  = "dat_"
	refreshPrefix = "drt_"

	idBytes, familyBytes, serialBytes = 16, 24, 24
)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

func newGrantID() string { return hex.EncodeToString(randomBytes(idBytes)) }

// mintToken returns a new code or token of a grant. family is nil for all but
// refresh tokens.
func mintToken(prefix, grantID string, family []byte) string {
	id, _ := hex.DecodeString(grantID)
	raw := append(append(id, family...), randomBytes(serialBytes)...)
	return prefix + base64.RawURLEncoding.EncodeToString(raw)
}

// parseToken takes a code or token apart; ok is false for what mintToken
// cannot have made.
func parseToken(prefix, token string) (grantID string, family []byte, ok bool) {
	encoded, ok := strings.CutPrefix(token, prefix)
	if !ok {
		return "", nil, false
	}
	want := idBytes + serialBytes
	if prefix == refreshPrefix {
		want += familyBytes
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	// The decoder skips line breaks, which would let one token have many spellings.
	if err != nil || len(raw) != want || strings.ContainsAny(encoded, "\r\n") {
		return "", nil, false
	}
	return hex.EncodeToString(raw[:idBytes]), raw[idBytes : len(raw)-serialBytes], true
}

// fingerprint is what is kept of a secret.
func fingerprint[T string | []byte](secret T) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// same compares in constant time. An empty want is never the same.
func same(got, want string) bool {
	return want != "" && subtle.ConstantTimeCompare([]byte(got), []byte(want)) == 1
}

// verifies reports whether the PKCE verifier belongs to an S256 challenge (RFC 7636 section 4.6).
func verifies(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	return same(base64.RawURLEncoding.EncodeToString(sum[:]), challenge)
}
