package crypto

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/hawser-io/hawser/pkg/secret"
)

// SealsBeforeRotation is the number of seals by one key, over all processes and
// its whole life, at which to replace it. With random 96-bit nonces the
// probability that one repeats is then still below 2^-34; NIST SP 800-38D allows
// at most 2^32 seals (2^-32).
const SealsBeforeRotation = 1 << 31

// Keyring seals with its primary key and opens with every enabled key. Create it
// with [ParseKeyset], [LoadKeyset] or [Load]. Safe for concurrent use.
type Keyring struct {
	// A pointer, so that Reload replaces everything at once, and so that a printed
	// Keyring shows an address and no key.
	current atomic.Pointer[keys]
}

// keys is one version of the keyset. It does not change, except for the counters.
type keys struct {
	handle  *keyset.Handle
	primary uint32
	byID    map[uint32]sealingKey // key id → enabled key
}

type sealingKey struct {
	aead  tink.AEAD
	seals *atomic.Uint64
}

// NewKeyset returns a keyset of one new key, as Tink's cleartext JSON: the
// content of keyset.json or HAWSER_KEYSET. Without it, nothing that it has sealed
// can be opened.
func NewKeyset() (secret.Text, error) {
	manager := keyset.NewManager()
	id, err := addKey(manager)
	if err == nil {
		err = manager.SetPrimary(id)
	}
	return encode(manager, err)
}

// ParseKeyset parses a keyset of [NewKeyset] or Tink's own tools: cleartext JSON,
// every key AES-256-GCM with Tink's output prefix. The errors are [ErrNoKeyset]
// for empty text and [ErrKeyset].
func ParseKeyset(text secret.Text) (*Keyring, error) {
	k := new(Keyring)
	parsed, err := parseKeys(text)
	if err != nil {
		return nil, err
	}
	k.current.Store(parsed)
	return k, nil
}

func parseKeys(text secret.Text) (*keys, error) {
	if strings.TrimSpace(text.Reveal()) == "" {
		return nil, fmt.Errorf("%w: the text is empty", ErrNoKeyset)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(strings.NewReader(text.Reveal())))
	if err != nil {
		// Not wrapped: the error of the JSON decoder quotes the text.
		return nil, fmt.Errorf("%w: it has to be a cleartext Tink keyset in JSON with one enabled primary key", ErrKeyset)
	}
	parsed := &keys{handle: handle, byID: make(map[uint32]sealingKey, handle.Len())}
	for i := range handle.Len() {
		entry, err := handle.Entry(i)
		if err != nil {
			return nil, fmt.Errorf("%w: entry %d: %w", ErrKeyset, i, err)
		}
		if entry.KeyStatus() != keyset.Enabled {
			continue
		}
		id := entry.KeyID()
		primitive, err := newAEAD(entry)
		if err != nil {
			return nil, fmt.Errorf("%w: key %d: %w", ErrKeyset, id, err)
		}
		parsed.byID[id] = sealingKey{aead: primitive, seals: new(atomic.Uint64)}
		if entry.IsPrimary() {
			parsed.primary = id
		}
	}
	return parsed, nil
}

// newAEAD returns the cipher of one key. It does not use Tink's factory for a
// whole keyset, which tries several keys if their prefixes are equal: AES-GCM does
// not commit to its key.
func newAEAD(entry *keyset.Entry) (tink.AEAD, error) {
	gcm, ok := entry.Key().(*aesgcm.Key)
	if !ok {
		return nil, fmt.Errorf("it has to be AES-256-GCM, not %T", entry.Key())
	}
	params, ok := gcm.Parameters().(*aesgcm.Parameters)
	if !ok || params.KeySizeInBytes() != keySize {
		return nil, fmt.Errorf("it has to have %d bytes", keySize)
	}
	if params.Variant() != aesgcm.VariantTink {
		return nil, fmt.Errorf("it has to have the output prefix TINK, so that ciphertexts name their key")
	}
	return aesgcm.NewAEAD(gcm)
}

// PrimaryID returns the id of the key that seals.
func (k *Keyring) PrimaryID() uint32 { return k.current.Load().primary }

// KeyIDs returns the ids of all keys that open, in ascending order.
func (k *Keyring) KeyIDs() []uint32 { return k.current.Load().ids() }

func (s *keys) ids() []uint32 { return slices.Sorted(maps.Keys(s.byID)) }

// Seals returns how often each key has sealed in this process: key id → count.
func (k *Keyring) Seals() map[uint32]uint64 {
	counts := make(map[uint32]uint64)
	for id, key := range k.current.Load().byID {
		counts[id] = key.seals.Load()
	}
	return counts
}

// String returns the ids of the keys, for logs.
func (k *Keyring) String() string {
	s := k.current.Load()
	return fmt.Sprintf("keyring (primary %d, keys %v)", s.primary, s.ids())
}

// encode returns the manager's keyset as Tink's cleartext JSON, unless changing it
// has failed.
func encode(manager *keyset.Manager, err error) (secret.Text, error) {
	var text bytes.Buffer
	if err == nil {
		var handle *keyset.Handle
		if handle, err = manager.Handle(); err == nil {
			err = insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text))
		}
	}
	if err != nil {
		return secret.Text{}, fmt.Errorf("change keyset: %w", err)
	}
	return secret.New(text.String()), nil
}
