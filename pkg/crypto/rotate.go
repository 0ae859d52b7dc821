package crypto

import (
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/hawser-io/hawser/pkg/secret"
)

// Sizes of AES-256-GCM in Tink, in bytes.
const (
	keySize   = 32
	nonceSize = 12
	tagSize   = 16
)

// Rotate returns a keyset with a new primary key; the existing keys still open.
// The Keyring itself does not change: store the text, then [Keyring.Reload] it.
//
// A process that has not loaded the new keyset cannot open what the new key
// seals ([ErrUnknownKey]). If several processes use the keyset, call
// [Keyring.AddKey], reload all, call [Keyring.Promote], reload all.
func (k *Keyring) Rotate() (secret.Text, error) {
	manager := k.manager()
	id, err := addKey(manager)
	if err == nil {
		err = manager.SetPrimary(id)
	}
	return encode(manager, err)
}

// AddKey returns a keyset with one more key, and its id. The key opens, but does
// not seal before it is promoted. The Keyring itself does not change.
func (k *Keyring) AddKey() (secret.Text, uint32, error) {
	manager := k.manager()
	id, err := addKey(manager)
	text, err := encode(manager, err)
	return text, id, err
}

// Promote returns a keyset whose primary is key id. The Keyring itself does not
// change. An id that is not among [Keyring.KeyIDs] is [ErrUnknownKey].
func (k *Keyring) Promote(id uint32) (secret.Text, error) {
	if !k.has(id) {
		return secret.Text{}, fmt.Errorf("promote key %d: %w", id, ErrUnknownKey)
	}
	manager := k.manager()
	return encode(manager, manager.SetPrimary(id))
}

// RemoveKey returns a keyset without key id. The Keyring itself does not change.
// The primary is refused with [ErrKeyset], an id that is not among
// [Keyring.KeyIDs] with [ErrUnknownKey]. What the key has sealed can no longer be
// opened: first check [FieldKeyIDs] of every record, and [KeyID] of the check
// value.
func (k *Keyring) RemoveKey(id uint32) (secret.Text, error) {
	if !k.has(id) {
		return secret.Text{}, fmt.Errorf("remove key %d: %w", id, ErrUnknownKey)
	}
	if id == k.PrimaryID() {
		return secret.Text{}, fmt.Errorf("%w: remove key %d: it is the primary: promote another key first", ErrKeyset, id)
	}
	manager := k.manager()
	return encode(manager, manager.Delete(id))
}

// Reload replaces the keys by those of another version of the keyset, for all
// users of the Keyring at once. Counts of seals continue. A keyset without the
// current primary key is refused with [ErrWrongKeyset]: the program could no
// longer open what it has just sealed. After an error the Keyring is unchanged.
func (k *Keyring) Reload(text secret.Text) error {
	next, err := parseKeys(text)
	if err != nil {
		return err
	}
	// Equal ids do not prove equal keys; opening a value does.
	probe, err := CheckValue(k)
	if err != nil {
		return err
	}
	if err := verifyCheckValue(next, probe); err != nil {
		return fmt.Errorf("%w: reload: the keyset lacks the current primary key (%d): add keys to the current keyset instead of creating a new one", ErrWrongKeyset, k.PrimaryID())
	}
	for {
		current := k.current.Load()
		for id, old := range current.byID {
			if key, ok := next.byID[id]; ok {
				next.byID[id] = sealingKey{aead: key.aead, seals: old.seals}
			}
		}
		if k.current.CompareAndSwap(current, next) {
			return nil
		}
	}
}

func (k *Keyring) manager() *keyset.Manager {
	return keyset.NewManagerFromHandle(k.current.Load().handle)
}

func (k *Keyring) has(id uint32) bool {
	_, ok := k.current.Load().byID[id]
	return ok
}

func addKey(manager *keyset.Manager) (uint32, error) {
	params, err := aesgcm.NewParameters(aesgcm.ParametersOpts{
		KeySizeInBytes: keySize,
		IVSizeInBytes:  nonceSize,
		TagSizeInBytes: tagSize,
		Variant:        aesgcm.VariantTink,
	})
	if err != nil {
		return 0, err
	}
	return manager.AddNewKeyFromParameters(params)
}
