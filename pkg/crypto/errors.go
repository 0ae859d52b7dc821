package crypto

import (
	"errors"
	"strconv"
	"strings"
)

// What was being done when it failed: errors.Is(err, ErrSeal) and
// errors.Is(err, ErrOpen) tell the two apart for every [*Error].
var (
	ErrSeal = errors.New("seal")
	ErrOpen = errors.New("open")
)

// Why it failed. Callers branch on these; the texts go to people.
var (
	// ErrUnknownKey: the envelope names a key that the keyring does not hold.
	// It may open after [Keyring.Reload] with a newer keyset.
	ErrUnknownKey = errors.New("this key is not in the keyset or is disabled there: load the keyset that has it")
	// ErrVersion: the envelope has a format that this version does not know.
	ErrVersion = errors.New("the envelope has a format that this version of Hawser does not know: upgrade")
	// ErrTampered: the envelope does not belong here or is not whole.
	ErrTampered = errors.New("the envelope was changed, cut, or moved here from another record or field")
	// ErrNotSealed: a value is in the clear where an envelope has to be.
	ErrNotSealed = errors.New("the value is not sealed, although it has to be")
	// ErrNotJSON: an envelope of a document's field holds no JSON value. It was
	// sealed with [Keyring.Seal] from something else.
	ErrNotJSON = errors.New("the sealed value is not JSON")
	// ErrDocument: the document is not JSON.
	ErrDocument = errors.New("the document is not JSON")
	// ErrPointer: a pointer breaks RFC 6901.
	ErrPointer = errors.New(`not a JSON pointer (RFC 6901): it begins with "/" or is empty, "~" is written "~0" and "/" in a name "~1"`)
	// ErrBinding: a binding without bucket or key would bind to nothing.
	ErrBinding = errors.New("the binding needs both bucket and key")

	// ErrNoKeyset: there is no keyset at the place that was named.
	ErrNoKeyset = errors.New("no keyset there")
	// ErrKeyset: there is a keyset, but it cannot be used as it is.
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

// Error tells what failed at which field. Its text holds neither plaintext nor
// ciphertext.
type Error struct {
	Op      string // "seal", "open", "read key id of", "mask"
	KeyID   uint32 // key that the envelope names or that was to seal; 0 = not known
	Pointer string // JSON pointer of the field, concrete; "" = the document
	Reason  error  // wraps one of the sentinels above
}

func (e *Error) Error() string {
	var s strings.Builder
	s.WriteString(e.Op)
	if e.Pointer == "" {
		s.WriteString(" value")
	} else {
		s.WriteString(" field ")
		s.WriteString(strconv.Quote(e.Pointer))
	}
	if e.KeyID != 0 {
		s.WriteString(" (key ")
		s.WriteString(strconv.FormatUint(uint64(e.KeyID), 10))
		s.WriteString(")")
	}
	s.WriteString(": ")
	s.WriteString(e.Reason.Error())
	return s.String()
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Reason }

// Is answers for [ErrSeal] and [ErrOpen].
func (e *Error) Is(target error) bool {
	return target == ErrSeal && e.Op == opSeal || target == ErrOpen && e.Op == opOpen
}
