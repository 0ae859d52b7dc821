package crypto

import (
	"errors"
	"fmt"
)

// The operation that failed. errors.Is distinguishes the two for every [*Error].
var (
	ErrSeal = errors.New("seal")
	ErrOpen = errors.New("open")
)

// Why it failed.
var (
	// ErrUnknownKey: the keyring does not have the key that the envelope names.
	// It may open after [Keyring.Reload] with a newer keyset.
	ErrUnknownKey = errors.New("this key is not in the keyset or is disabled there: load the keyset that has it")
	// ErrVersion: the envelope has a format that this version does not know.
	ErrVersion = errors.New("the envelope has a format that this version of Hawser does not know: upgrade")
	// ErrTampered: the envelope was sealed elsewhere or is damaged.
	ErrTampered = errors.New("the envelope was changed, cut, or moved here from another record or field")
	// ErrNotSealed: the value is not an envelope.
	ErrNotSealed = errors.New("the value is not sealed, although it has to be")
	// ErrNotJSON: the plaintext of a document's field is not a JSON value. It was
	// sealed with [Keyring.Seal].
	ErrNotJSON = errors.New("the sealed value is not JSON")
	// ErrDocument: the document is not JSON.
	ErrDocument = errors.New("the document is not JSON")
	// ErrPointer: a pointer is not valid by RFC 6901.
	ErrPointer = errors.New(`not a JSON pointer (RFC 6901): it begins with "/" or is empty, "~" is written "~0" and "/" in a name "~1"`)
	// ErrBinding: a binding has no bucket or no key.
	ErrBinding = errors.New("the binding needs both bucket and key")

	// ErrNoKeyset: there is no keyset at the given source.
	ErrNoKeyset = errors.New("no keyset there")
	// ErrKeyset: the keyset is invalid or cannot be read.
	ErrKeyset = errors.New("unusable keyset")
	// ErrWrongKeyset: the keyset is not the one that sealed the store.
	ErrWrongKeyset = errors.New("wrong keyset")
)

// Values of [Error.Op].
const (
	opSeal = "seal"
	opOpen = "open"
	opRead = "read key id of"
	opMask = "mask"
)

// Error is the error of an operation on a value or field. Its text contains
// neither plaintext nor ciphertext.
type Error struct {
	Op      string // "seal", "open", "read key id of", "mask"
	KeyID   uint32 // key of the envelope, or the sealing key; 0 if unknown
	Pointer string // JSON pointer of the field, concrete; "" is the document
	Reason  error  // wraps one of the errors above
}

func (e *Error) Error() string {
	what, key := "value", ""
	if e.Pointer != "" {
		what = fmt.Sprintf("field %q", e.Pointer)
	}
	if e.KeyID != 0 {
		key = fmt.Sprintf(" (key %d)", e.KeyID)
	}
	return fmt.Sprintf("%s %s%s: %v", e.Op, what, key, e.Reason)
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Reason }

// Is reports whether target is [ErrSeal] or [ErrOpen] and the operation is that.
func (e *Error) Is(target error) bool {
	return target == ErrSeal && e.Op == opSeal || target == ErrOpen && e.Op == opOpen
}
