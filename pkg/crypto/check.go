package crypto

import (
	"errors"
	"fmt"
)

// The check value of a store is a known text, sealed. A program opens it when it
// starts, so that it stops there with a wrong keyset, instead of failing at the
// first request or sealing records that the right keyset cannot open.
const checkText = "hawser keyset check"

var checkBinding = Binding{Bucket: "hawser-keyset", Key: "check"}

// CheckValue returns the check value to store beside the records, for
// [VerifyCheckValue]. Replace it after each change of the primary key.
func CheckValue(k *Keyring) (string, error) {
	return k.Seal([]byte(checkText), checkBinding, "")
}

// VerifyCheckValue returns an error if the keyring cannot open the store's check
// value. It wraps [ErrWrongKeyset] and says what to do.
func VerifyCheckValue(k *Keyring, value string) error {
	return verifyCheckValue(k.current.Load(), value)
}

func verifyCheckValue(s *keys, value string) error {
	ad, err := checkBinding.associatedData("")
	if err != nil {
		return err
	}
	sealed, err := decode(value)
	if errors.Is(err, ErrVersion) {
		return fmt.Errorf("%w: the check value of this store: %w", ErrWrongKeyset, err)
	}
	if err != nil {
		return fmt.Errorf("%w: the check value of this store is damaged, so no keyset can be verified: restore it from a backup of the store", ErrWrongKeyset)
	}
	plain, err := s.decrypt(sealed, ad)
	if err == nil && string(plain) == checkText {
		return nil
	}
	const advice = "start with the keyset that this store was created with (keyset.json of its data folder, or the value of HAWSER_KEYSET), or restore that from a backup; no other keyset opens its records"
	if errors.Is(err, ErrUnknownKey) {
		return fmt.Errorf("%w: this store was sealed with key %d, the keyset has %v: %s", ErrWrongKeyset, keyIDOf(sealed), s.ids(), advice)
	}
	return fmt.Errorf("%w: the keyset has a key %d, but it is not the one that sealed this store: %s", ErrWrongKeyset, keyIDOf(sealed), advice)
}
