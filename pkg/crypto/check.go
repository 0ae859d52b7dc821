package crypto

import (
	"errors"
	"fmt"
)

// A store keeps one check value: a known text, sealed. A program opens it before
// it does anything else, so that a wrong keyset stops it at its start and not at
// the first customer, or worse, seals new records that the right keyset cannot
// open.
const checkText = "hawser keyset check"

var checkBinding = Binding{Bucket: "hawser-keyset", Key: "check"}

// CheckValue returns an envelope to keep beside the records, for
// [VerifyCheckValue]. Make a new one after each change of the primary key.
func CheckValue(k *Keyring) (string, error) {
	return k.Seal([]byte(checkText), checkBinding, "")
}

// VerifyCheckValue returns [ErrWrongKeyset], in a sentence that tells an operator
// what to do, if the keyring cannot open what [CheckValue] has returned for the
// keyset of the store.
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
		return fmt.Errorf("%w: the check value of this store is damaged, so no keyset can be proven right: restore it from a backup of the store", ErrWrongKeyset)
	}
	plain, err := s.open(sealed, ad)
	if err == nil && string(plain) == checkText {
		return nil
	}
	const advice = "start with the keyset that this store was made with (keyset.json of its data folder, or what HAWSER_KEYSET held), or restore that from a backup; what it has sealed opens with no other"
	if errors.Is(err, ErrUnknownKey) {
		return fmt.Errorf("%w: this store was sealed with key %d, the keyset has %v: %s", ErrWrongKeyset, keyIDOf(sealed), s.ids(), advice)
	}
	return fmt.Errorf("%w: the keyset has a key %d, but it is not the one that sealed this store: %s", ErrWrongKeyset, keyIDOf(sealed), advice)
}
