package crypto

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
)

// An envelope is the text of a sealed value:
//
//	enc:v1:<base64url of the ciphertext, no padding, unused bits zero>
//
//	byte  0      1        5       17             n-16     n
//	      ┌──────┬────────┬───────┬──────────────┬────────┐
//	      │ 0x01 │ key id │ nonce │ AES-256-GCM  │  tag   │   Tink's ciphertext,
//	      └──────┴────────┴───────┴──────────────┴────────┘   output prefix TINK
//
// and its associated data, where len is 4 bytes big endian, as is the key id:
//
//	len bucket  len key  len pointer  len "v1"
//
// The length prefixes keep ("ab","c") apart from ("a","bc").
const (
	scheme        = "enc:"
	prefix        = "enc:v1:"
	formatVersion = "v1"

	tinkStart  = 0x01
	headerSize = 5
	minSealed  = headerSize + nonceSize + tagSize
)

// Strict: unused bits have to be zero, so that no two texts are one envelope.
var encoding = base64.RawURLEncoding.Strict()

// Binding names the record that a value belongs to. Both fields are required.
type Binding struct {
	Bucket string // e.g. "hawser-connections"
	Key    string // of the record in the bucket
}

// Seal returns the envelope of plain for the field of that record at pointer
// (RFC 6901, concrete: "*" is an ordinary name). Every call returns another
// envelope. The error is an [*Error] and [ErrSeal].
func (k *Keyring) Seal(plain []byte, b Binding, pointer string) (string, error) {
	return k.current.Load().seal(plain, b, pointer)
}

// Open returns what was sealed as that envelope for that record and pointer. The
// error is an [*Error] and [ErrOpen], and one of [ErrNotSealed], [ErrVersion],
// [ErrUnknownKey], [ErrTampered], [ErrBinding], [ErrPointer].
func (k *Keyring) Open(envelope string, b Binding, pointer string) ([]byte, error) {
	return k.current.Load().open(envelope, b, pointer)
}

// KeyID returns the id of the key that the envelope names. It is not
// authenticated. The error is an [*Error] with [ErrNotSealed], [ErrVersion] or
// [ErrTampered].
func KeyID(envelope string) (uint32, error) {
	sealed, err := decode(envelope)
	if err != nil {
		return 0, &Error{Op: opRead, Reason: err}
	}
	return keyIDOf(sealed), nil
}

func (s *keys) seal(plain []byte, b Binding, pointer string) (string, error) {
	ad, err := b.associatedData(pointer)
	if err != nil {
		return "", &Error{Op: opSeal, KeyID: s.primary, Pointer: pointer, Reason: err}
	}
	primary := s.byID[s.primary]
	primary.seals.Add(1) // a failed seal may have used a nonce too
	sealed, err := primary.aead.Encrypt(plain, ad)
	if err != nil {
		return "", &Error{Op: opSeal, KeyID: s.primary, Pointer: pointer, Reason: fmt.Errorf("encrypt: %w", err)}
	}
	return prefix + encoding.EncodeToString(sealed), nil
}

func (s *keys) open(envelope string, b Binding, pointer string) ([]byte, error) {
	ad, err := b.associatedData(pointer)
	if err != nil {
		return nil, &Error{Op: opOpen, Pointer: pointer, Reason: err}
	}
	sealed, err := decode(envelope)
	if err != nil {
		return nil, &Error{Op: opOpen, Pointer: pointer, Reason: err}
	}
	plain, err := s.decrypt(sealed, ad)
	if err != nil {
		return nil, &Error{Op: opOpen, KeyID: keyIDOf(sealed), Pointer: pointer, Reason: err}
	}
	return plain, nil
}

// decrypt opens what [decode] has returned. The error is [ErrTampered] whatever
// the cipher's reason, so that an attacker learns nothing from it.
func (s *keys) decrypt(sealed, ad []byte) ([]byte, error) {
	key, ok := s.byID[keyIDOf(sealed)]
	if !ok {
		return nil, ErrUnknownKey
	}
	plain, err := key.aead.Decrypt(sealed, ad)
	if err != nil {
		return nil, ErrTampered
	}
	return plain, nil
}

// decode returns the ciphertext of an envelope. Text that it accepts is the only
// encoding of that ciphertext.
func decode(envelope string) ([]byte, error) {
	text, ok := strings.CutPrefix(envelope, prefix)
	if !ok {
		if otherVersion(envelope) {
			return nil, ErrVersion
		}
		return nil, ErrNotSealed
	}
	// The decoder skips line ends even when strict.
	if strings.ContainsAny(text, "\r\n") {
		return nil, ErrTampered
	}
	sealed, err := encoding.DecodeString(text)
	if err != nil || len(sealed) < minSealed || sealed[0] != tinkStart {
		return nil, ErrTampered
	}
	return sealed, nil
}

// otherVersion reports whether text begins like an envelope, "enc:v<digits>:".
func otherVersion(text string) bool {
	rest, ok := strings.CutPrefix(text, scheme+"v")
	version, _, found := strings.Cut(rest, ":")
	return ok && found && version != "" && strings.Trim(version, "0123456789") == ""
}

func keyIDOf(sealed []byte) uint32 { return binary.BigEndian.Uint32(sealed[1:headerSize]) }

// associatedData returns the associated data of the field at pointer.
func (b Binding) associatedData(pointer string) ([]byte, error) {
	if b.Bucket == "" || b.Key == "" {
		return nil, ErrBinding
	}
	if err := checkPointer(pointer); err != nil {
		return nil, err
	}
	var data []byte
	for _, part := range []string{b.Bucket, b.Key, pointer, formatVersion} {
		data = append(binary.BigEndian.AppendUint32(data, uint32(len(part))), part...)
	}
	return data, nil
}
