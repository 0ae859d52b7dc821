package crypto

import (
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// Sizes of AES-256-GCM as Tink has it, in bytes.
const (
	keySize   = 32
	nonceSize = 12
	tagSize   = 16
)

// Rotate returns a keyset with a fresh primary key; the present keys still open.
// The Keyring itself does not change: store the text, then [Keyring.Reload] it.
//
// A process that has not loaded the new keyset cannot open what the new key
// seals ([ErrUnknownKey]). Where several processes share a keyset, go by
// [Keyring.AddKey], reload all, [Keyring.Promote], reload all.
func (k *Keyring) Rotate() (Secret, error) {
	manager := k.manager()
	id, err := addKey(manager)
	if err != nil {
		return Secret{}, err
	}
	return changedKeyset(manager, manager.SetPrimary(id))
}

// AddKey returns a keyset with one fresh key more, and its id. It opens, but
// does not seal before it is promoted. The Keyring itself does not change.
func (k *Keyring) AddKey() (Secret, uint32, error) {
	manager := k.manager()
	id, err := addKey(manager)
	if err != nil {
		return Secret{}, 0, err
	}
	text, err := changedKeyset(manager, nil)
	return text, id, err
}

// Promote returns a keyset whose primary is key id. The Keyring itself does not
// change. An id that is not among [Keyring.KeyIDs] is [ErrUnknownKey].
func (k *Keyring) Promote(id uint32) (Secret, error) {
	if err := k.holds(id); err != nil {
		return Secret{}, fmt.Errorf("promote key %d: %w", id, err)
	}
	manager := k.manager()
	return changedKeyset(manager, manager.SetPrimary(id))
}

// RemoveKey returns a keyset without key id. The Keyring itself does not change.
// The primary is refused with [ErrKeyset], an id that is not among
// [Keyring.KeyIDs] with [ErrUnknownKey]. What the key has sealed is lost, so
// callers first make sure that nothing needs it: [FieldKeyIDs] of every record,
// and [KeyID] of the check value.
func (k *Keyring) RemoveKey(id uint32) (Secret, error) {
	if err := k.holds(id); err != nil {
		return Secret{}, fmt.Errorf("remove key %d: %w", id, err)
	}
	if id == k.PrimaryID() {
		return Secret{}, fmt.Errorf("%w: remove key %d: it is the primary: promote another key first", ErrKeyset, id)
	}
	manager := k.manager()
	return changedKeyset(manager, manager.Delete(id))
}

// Reload makes the Keyring use another version of its keyset, at once for every
// user of it. Counts of seals go on. A keyset that lacks the present primary key
// is refused with [ErrWrongKeyset], since a running program would lose what it
// has just sealed; whatever the error, the Keyring stays as it was.
func (k *Keyring) Reload(text Secret) error {
	next, err := parseKeys(text)
	if err != nil {
		return err
	}
	// Opening proves that it is the same key; its id alone would not.
	probe, err := CheckValue(k)
	if err != nil {
		return err
	}
	if err := verifyCheckValue(next, probe); err != nil {
		return fmt.Errorf("%w: reload: the keyset lacks the key that is the primary now (%d): add keys to the present keyset instead of making a new one", ErrWrongKeyset, k.PrimaryID())
	}
	for {
		present := k.current.Load()
		for id, key := range present.byID {
			if kept, ok := next.byID[id]; ok {
				kept.seals = key.seals
				next.byID[id] = kept
			}
		}
		if k.current.CompareAndSwap(present, next) {
			return nil
		}
	}
}

func (k *Keyring) manager() *keyset.Manager {
	return keyset.NewManagerFromHandle(k.current.Load().handle)
}

func (k *Keyring) holds(id uint32) error {
	if _, ok := k.current.Load().byID[id]; !ok {
		return ErrUnknownKey
	}
	return nil
}

func addKey(manager *keyset.Manager) (uint32, error) {
	params, err := aesgcm.NewParameters(aesgcm.ParametersOpts{
		KeySizeInBytes: keySize,
		IVSizeInBytes:  nonceSize,
		TagSizeInBytes: tagSize,
		Variant:        aesgcm.VariantTink,
	})
	if err != nil {
		return 0, fmt.Errorf("make a key: %w", err)
	}
	id, err := manager.AddNewKeyFromParameters(params)
	if err != nil {
		return 0, fmt.Errorf("make a key: %w", err)
	}
	return id, nil
}

// changedKeyset encodes what the manager holds, unless the change has failed.
func changedKeyset(manager *keyset.Manager, err error) (Secret, error) {
	if err != nil {
		return Secret{}, fmt.Errorf("change keyset: %w", err)
	}
	handle, err := manager.Handle()
	if err != nil {
		return Secret{}, fmt.Errorf("change keyset: %w", err)
	}
	return encode(handle)
}
