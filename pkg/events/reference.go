package events

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Parts of the last token of a [Action.Reference]. No string that [Token] writes has them:
// there, '=' is followed by two upper-case hex digits, by "h", or by nothing.
const (
	accountMark  = "=a" // before the account
	conflictMark = "=c" // before the fingerprint of the input
	defaultName  = "default"
)

// Reference identifies a request, and so its result, in one path segment:
//
//	<scope>.<identity>.<connector>.<action>.<request id>
//	<scope>.<identity>.<connector>.<action>.<request id>=a<account>
//
// The first form is for the default account. Each part is a [Token]. Account and id that
// have more than 384 characters together are replaced by a hash. A request in
// [Action.Conflict] has "=c" and a fingerprint of its input at the end.
func (a Action) Reference() string {
	reference := a.ActionRef.tokens() + "." + requestToken(a.Account, a.ID)
	if a.Conflict {
		reference += conflictMark + a.InputFingerprint()
	}
	return reference
}

// Reference is [Action.Reference] of a request of the default account.
func Reference(r ActionRef, requestID string) string {
	return Action{ActionRef: r, ID: requestID}.Reference()
}

func requestToken(account, requestID string) string {
	id := Token(requestID)
	if account == "" || account == defaultName {
		return id
	}
	token := id + accountMark + Token(account)
	if len(token) > 3*maxTokenInput {
		sum := sha256.Sum256([]byte(token))
		return accountMark + hex.EncodeToString(sum[:])
	}
	return token
}

// isRequestToken reports whether a token can be the last one of an [Action.Reference].
func isRequestToken(token string) bool {
	token, fingerprint, conflict := strings.Cut(token, conflictMark)
	if conflict && !isHex(fingerprint, 2*fingerprintSize) {
		return false
	}
	id, account, ok := strings.Cut(token, accountMark)
	if !ok {
		return isToken(token)
	}
	return id == "" && isHex(account, 2*sha256.Size) || isToken(id) && isToken(account)
}

func isHex(s string, size int) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == size && strings.ToLower(s) == s
}

// InputFingerprint is the same for inputs that are the same JSON value, whatever their
// white space, escapes and order of members. No input is {}.
func (a Action) InputFingerprint() string {
	if len(a.Input) == 0 {
		return Fingerprint("{}")
	}
	value := jsontext.Value(slices.Clone(a.Input))
	if err := value.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false)); err != nil {
		return Fingerprint(string(a.Input))
	}
	return Fingerprint(string(value))
}
