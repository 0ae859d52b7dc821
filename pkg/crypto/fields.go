package crypto

import (
	"errors"
	"slices"

	"github.com/hawser-io/hawser/internal/jsondoc"
)

// SealFields returns a copy of the JSON document in which every value that the
// pointers lead to is replaced by the envelope of its JSON text, bound to that
// record and place. Pointers are RFC 6901; "*" stands for every item and every
// member. Any value can be secret: string, number, array, object. Null and absent
// values are left. A string that looks like an envelope is data like any other.
// Where one pointer leads into what another has sealed, the outer one counts.
// The rest of the document stays byte for byte.
//
// Errors are [*Error] and [ErrSeal]; [ErrDocument] if doc is not JSON.
func (k *Keyring) SealFields(doc []byte, pointers []string, b Binding) ([]byte, error) {
	f := fields{keys: k.current.Load(), binding: b}
	return f.apply(opSeal, doc, pointers, f.seal)
}

// OpenFields undoes [Keyring.SealFields] with the same pointers and binding, byte
// for byte. It fails closed: a value that a pointer leads to and that is neither
// null nor an envelope is [ErrNotSealed]; nothing is returned beside an error.
//
// Errors are [*Error] and [ErrOpen], with the reasons that [Keyring.Open] names
// and [ErrDocument], [ErrNotJSON].
func (k *Keyring) OpenFields(doc []byte, pointers []string, b Binding) ([]byte, error) {
	f := fields{keys: k.current.Load(), binding: b}
	return f.apply(opOpen, doc, pointers, f.open)
}

// RewrapFields seals again, with the primary key, every listed field that another
// key has sealed, and returns the document and how many fields that were. With 0
// there is nothing to write. The plaintext never leaves the call. Errors are
// those of [Keyring.OpenFields] and [Keyring.SealFields].
func (k *Keyring) RewrapFields(doc []byte, pointers []string, b Binding) ([]byte, int, error) {
	f := fields{keys: k.current.Load(), binding: b}
	out, err := f.apply(opOpen, doc, pointers, f.rewrap)
	return out, f.rewrapped, err
}

// FieldKeyIDs returns the ids of the keys that the envelopes at the pointers name,
// in ascending order, without opening them. Errors are [*Error].
func FieldKeyIDs(doc []byte, pointers []string) ([]uint32, error) {
	var ids []uint32
	_, err := editFields(doc, pointers, func(dst []byte, value jsondoc.Value, pointer string) ([]byte, error) {
		sealed, err := decodeValue(value)
		if err != nil {
			return nil, &Error{Op: opRead, Pointer: pointer, Reason: err}
		}
		ids = append(ids, keyIDOf(sealed))
		return append(dst, value.Raw...), nil
	})
	if err != nil {
		return nil, typed(opRead, err)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// fields is one call that edits the secret fields of a document.
type fields struct {
	keys      *keys
	binding   Binding
	rewrapped int
}

func (f *fields) apply(op string, doc []byte, pointers []string, e edit) ([]byte, error) {
	if _, err := f.binding.associatedData(""); err != nil {
		return nil, typed(op, err)
	}
	out, err := editFields(doc, pointers, e)
	if err != nil {
		return nil, typed(op, err)
	}
	return out, nil
}

// typed makes an [*Error] of an error about the whole document.
func typed(op string, err error) error {
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	return &Error{Op: op, Reason: err}
}

func (f *fields) seal(dst []byte, value jsondoc.Value, pointer string) ([]byte, error) {
	ad, err := f.binding.associatedData(pointer)
	if err == nil {
		dst, err = f.keys.appendSealed(append(dst, '"'), value.Raw, ad)
	}
	if err != nil {
		return nil, &Error{Op: opSeal, KeyID: f.keys.primary, Pointer: pointer, Reason: err}
	}
	return append(dst, '"'), nil
}

func (f *fields) open(dst []byte, value jsondoc.Value, pointer string) ([]byte, error) {
	plain, _, err := f.plain(value, pointer)
	if err != nil {
		return nil, err
	}
	return append(dst, plain...), nil
}

func (f *fields) rewrap(dst []byte, value jsondoc.Value, pointer string) ([]byte, error) {
	// What the primary key has sealed is opened too: a rewrap that succeeds
	// proves that the whole record opens.
	plain, keyID, err := f.plain(value, pointer)
	if err != nil {
		return nil, err
	}
	if keyID == f.keys.primary {
		return append(dst, value.Raw...), nil
	}
	f.rewrapped++
	return f.seal(dst, jsondoc.Value{Raw: plain}, pointer)
}

// plain opens the envelope that stands in a document as value, and returns the
// id of its key too.
func (f *fields) plain(value jsondoc.Value, pointer string) ([]byte, uint32, error) {
	sealed, err := decodeValue(value)
	if err != nil {
		return nil, 0, &Error{Op: opOpen, Pointer: pointer, Reason: err}
	}
	keyID := keyIDOf(sealed)
	ad, err := f.binding.associatedData(pointer)
	if err != nil {
		return nil, 0, &Error{Op: opOpen, KeyID: keyID, Pointer: pointer, Reason: err}
	}
	plain, err := f.keys.open(sealed, ad)
	if err == nil && !isValue(plain) {
		err = ErrNotJSON
	}
	if err != nil {
		return nil, 0, &Error{Op: opOpen, KeyID: keyID, Pointer: pointer, Reason: err}
	}
	return plain, keyID, nil
}

// decodeValue returns the ciphertext of the envelope that a JSON string holds.
func decodeValue(value jsondoc.Value) ([]byte, error) {
	if value.Kind() != '"' {
		return nil, ErrNotSealed
	}
	return decode(value.Unquote())
}
