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

// Secret is how keysets travel outside this package.
type Secret = secret.Text

// SealsBeforeRotation is the number of seals of one key, over all processes and
// its whole life, from which on it should be replaced. With random 96-bit nonces
// the chance that one repeats is then still below 2^-34; NIST SP 800-38D allows
// no more than 2^32 seals (2^-32).
const SealsBeforeRotation = 1 << 31

// Keyring seals with its primary key and opens with every enabled key. It is
// made by [ParseKeyset], [LoadKeyset] or [Load] and is safe for concurrent use.
type Keyring struct {
	// Behind a pointer, so that Reload swaps everything at once, and so that
	// printing a Keyring shows an address and no key.
	current atomic.Pointer[keys]
}

// keys is one keyset, ready for use. It never changes, but for the counters.
type keys struct {
	handle  *keyset.Handle
	primary uint32
	byID    map[uint32]key // key id → enabled key
}

type key struct {
	aead  tink.AEAD
	seals *atomic.Uint64
}

// NewKeyset makes a keyset of one fresh key, as Tink's cleartext JSON: what goes
// into keyset.json or HAWSER_KEYSET. Whoever loses it loses every secret that it
// has sealed.
func NewKeyset() (Secret, error) {
	manager := keyset.NewManager()
	id, err := addKey(manager)
	if err != nil {
		return Secret{}, err
	}
	return changedKeyset(manager, manager.SetPrimary(id))
}

// ParseKeyset reads a keyset that [NewKeyset] or Tink's own tools have made:
// cleartext JSON, every key AES-256-GCM with Tink's output prefix. The errors are
// [ErrNoKeyset] for empty text and [ErrKeyset].
func ParseKeyset(text Secret) (*Keyring, error) {
	k := new(Keyring)
	parsed, err := parseKeys(text)
	if err != nil {
		return nil, err
	}
	k.current.Store(parsed)
	return k, nil
}

func parseKeys(text Secret) (*keys, error) {
	if strings.TrimSpace(text.Reveal()) == "" {
		return nil, fmt.Errorf("%w: the text is empty", ErrNoKeyset)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(strings.NewReader(text.Reveal())))
	if err != nil {
		// Not wrapped: the JSON decoder's text quotes what it stumbled over.
		return nil, fmt.Errorf("%w: it has to be a cleartext Tink keyset in JSON with one enabled primary key", ErrKeyset)
	}
	parsed := &keys{handle: handle, byID: make(map[uint32]key, handle.Len())}
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
		parsed.byID[id] = key{aead: primitive, seals: new(atomic.Uint64)}
		if entry.IsPrimary() {
			parsed.primary = id
		}
	}
	return parsed, nil
}

// newAEAD makes the cipher of one key. It is built from the key itself rather
// than by Tink's factory for the whole keyset, because that one tries several
// keys if prefixes collide, and AES-GCM does not commit to its key.
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

// Seals returns how often each key has sealed: key id → count, since the
// process has started. Other processes count for themselves.
func (k *Keyring) Seals() map[uint32]uint64 {
	counts := make(map[uint32]uint64)
	for id, key := range k.current.Load().byID {
		counts[id] = key.seals.Load()
	}
	return counts
}

// String names the keys by id, for logs.
func (k *Keyring) String() string {
	s := k.current.Load()
	return fmt.Sprintf("keyring (primary %d, keys %v)", s.primary, s.ids())
}

// encode returns Tink's cleartext JSON of a keyset.
func encode(handle *keyset.Handle) (Secret, error) {
	var buf bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&buf)); err != nil {
		return Secret{}, fmt.Errorf("encode keyset: %w", err)
	}
	return secret.New(buf.String()), nil
}
