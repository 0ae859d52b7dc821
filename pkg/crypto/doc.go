// Package crypto seals the secret fields of Hawser's records.
//
// A [Keyring] is a Tink keyset of AES-256-GCM keys: the primary key seals,
// every enabled key opens. [Keyring.SealFields] replaces the secret fields of a
// JSON document by envelope strings and does not change the rest;
// [Keyring.OpenFields] restores the document byte for byte.
//
//	{"name":"shop","config":{"apiKey":"sk_live_1"}}
//	        │  SealFields(doc, ["/config/apiKey"], Binding{bucket, key})
//	        ▼
//	{"name":"shop","config":{"apiKey":"enc:v1:AVy3…"}}
//
// # Guarantees
//
// An envelope opens only where it was sealed: bucket, record key, JSON pointer
// and format version are its associated data. An envelope that was changed, cut,
// or copied to another tenant, field or bucket is refused. Opening fails closed:
// a listed field that is present and is not an envelope is an error, and so is
// an envelope of an unknown format. The key id in the envelope selects the key;
// keys are never tried in turn. A call that returns an error returns nothing
// else. Errors contain neither plaintext nor key bytes: they name the key id,
// the pointer, and what to do.
//
// # Limits
//
// Fields that are not listed are neither secret nor authenticated. A client that
// may write to the bucket can remove a listed field, set it to null, or set it
// back to an older envelope of the same field. The revision of a record is not
// part of the associated data, because it is not known before the write. Lengths
// of values are visible. Member names match exactly (RFC 6901): "APIKEY" is not
// "apiKey", although encoding/json would decode it into the same struct field,
// so validate documents from outside against their schema first.
//
// # Changing keys
//
// A keyset is text that the caller stores ([SaveKeyset]). Methods that change
// keys return the new text and do not change the Keyring, because a key that
// could not be stored must never seal anything. The states of a key:
//
//	AddKey ─▶ opens only ──Promote──▶ primary ──Promote of another──▶ opens only ──RemoveKey──▶ removed
//	         (in every process                     (Keyring.RewrapFields seals again
//	          by Keyring.Reload)                     with the primary key)
//
// [Keyring.Rotate] does the first two steps in one, for a keyset that only one
// process uses, or whose processes are all restarted. [FieldKeyIDs] returns the
// keys that a record still needs; do not remove those.
//
// The nonces are random and have 96 bits, so one key should seal far fewer than
// 2^32 values: [Keyring.Seals] counts, [SealsBeforeRotation] is the limit.
package crypto
