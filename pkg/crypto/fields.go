package crypto

import (
	"slices"
	"strconv"

	"github.com/hawser-io/hawser/internal/jsondoc"
)

// SealFields returns a copy of the JSON document in which every value that the
// pointers lead to is replaced by the envelope of its JSON text, bound to that
// record and pointer. Pointers are RFC 6901; "*" stands for every element and
// every member. Values of every type can be sealed: string, number, array,
// object. Null and absent values stay. A string that looks like an envelope is
// sealed like any other. If one pointer leads into a value that another one
// seals, only the outer value is sealed. The rest of the document stays byte for
// byte.
//
// The error is an [*Error] and [ErrSeal]; [ErrDocument] if doc is not JSON.
func (k *Keyring) SealFields(doc []byte, pointers []string, b Binding) ([]byte, error) {
	c := fieldCipher{keys: k.current.Load(), binding: b}
	return c.apply(opSeal, doc, pointers, c.seal)
}

// OpenFields undoes [Keyring.SealFields] with the same pointers and binding, byte
// for byte. It fails closed: a value at a pointer that is neither null nor an
// envelope is [ErrNotSealed].
//
// The error is an [*Error] and [ErrOpen], with the reasons of [Keyring.Open],
// [ErrDocument], or [ErrNotJSON].
func (k *Keyring) OpenFields(doc []byte, pointers []string, b Binding) ([]byte, error) {
	c := fieldCipher{keys: k.current.Load(), binding: b}
	return c.apply(opOpen, doc, pointers, c.open)
}

// RewrapFields seals again, with the primary key, every listed field that another
// key has sealed, and returns the document and the number of those fields. With 0
// the document is unchanged. Errors are those of [Keyring.OpenFields] and
// [Keyring.SealFields].
func (k *Keyring) RewrapFields(doc []byte, pointers []string, b Binding) ([]byte, int, error) {
	c := fieldCipher{keys: k.current.Load(), binding: b}
	out, err := c.apply(opOpen, doc, pointers, c.rewrap)
	return out, c.rewrapped, err
}

// FieldKeyIDs returns the ids of the keys that the envelopes at the pointers name,
// in ascending order, without opening them. The error is an [*Error].
func FieldKeyIDs(doc []byte, pointers []string) ([]uint32, error) {
	var ids []uint32
	_, err := editFields(opRead, doc, pointers, func(value jsondoc.Value, pointer string) ([]byte, error) {
		sealed, err := decode(value.Unquote())
		if err != nil {
			return nil, &Error{Op: opRead, Pointer: pointer, Reason: err}
		}
		ids = append(ids, keyIDOf(sealed))
		return value.Raw, nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// fieldCipher seals and opens the fields of one document.
type fieldCipher struct {
	keys      *keys
	binding   Binding
	rewrapped int // fields
}

func (c *fieldCipher) apply(op string, doc []byte, pointers []string, e edit) ([]byte, error) {
	if _, err := c.binding.associatedData(""); err != nil {
		return nil, &Error{Op: op, Reason: err}
	}
	return editFields(op, doc, pointers, e)
}

func (c *fieldCipher) seal(value jsondoc.Value, pointer string) ([]byte, error) {
	envelope, err := c.keys.seal(value.Raw, c.binding, pointer)
	return strconv.AppendQuote(nil, envelope), err
}

func (c *fieldCipher) open(value jsondoc.Value, pointer string) ([]byte, error) {
	// The text of a value that is no string is empty, and so is not sealed.
	envelope := value.Unquote()
	plain, err := c.keys.open(envelope, c.binding, pointer)
	if err == nil && !isValue(plain) {
		id, _ := KeyID(envelope)
		err = &Error{Op: opOpen, KeyID: id, Pointer: pointer, Reason: ErrNotJSON}
	}
	return plain, err
}

func (c *fieldCipher) rewrap(value jsondoc.Value, pointer string) ([]byte, error) {
	// Fields of the primary key are opened too, so that a successful rewrap
	// proves that the whole record opens.
	plain, err := c.open(value, pointer)
	if err != nil {
		return nil, err
	}
	if id, err := KeyID(value.Unquote()); err != nil || id == c.keys.primary {
		return value.Raw, err
	}
	c.rewrapped++
	return c.seal(jsondoc.Value{Raw: plain}, pointer)
}
