// Package crypto seals the secret fields of Hawser's records.
//
// A [Keyring] is a Tink keyset of AES-256-GCM keys: the primary key seals,
// every enabled key opens. [Keyring.SealFields] replaces the secret fields of a
// JSON document by envelope strings and leaves the rest readable;
// [Keyring.OpenFields] puts back, byte for byte, what was there.
//
//	{"name":"shop","config":{"apiKey":"sk_live_1"}}
//	        │  SealFields(doc, ["/config/apiKey"], Binding{bucket, key})
//	        ▼
//	{"name":"shop","config":{"apiKey":"enc:v1:AVy3…"}}
//
// # Promises
//
// An envelope opens only where it was sealed: bucket, record key, JSON pointer
// and format version are its associated data. Copied to another tenant, field or
// bucket, changed or cut, it is refused. Opening fails closed: a listed field
// that is present and no envelope is an error, so is an envelope of a format
// that this version does not know. The key is chosen by the id in the envelope;
// keys are never tried in turn. Nothing is returned beside an error. No error
// text holds plaintext or key bytes: it names the key id, the pointer, and what
// can be done.
//
// # No promises
//
// Fields that are not listed are neither secret nor authenticated, and a listed
// field can be removed, set to null, or set back to an older envelope of the same
// place by whoever may write to the bucket. The revision of a record is not
// bound, because it is not known before the write. Lengths show. Member names
// match exactly, as RFC 6901 says: "APIKEY" is not "apiKey", although
// encoding/json would decode it into the same struct field, so documents of
// strangers have to pass their schema first.
//
// # Changing keys
//
// A keyset is text that somebody stores ([SaveKeyset]); methods that change keys
// return the new text and leave the Keyring as it is, because a key that could
// not be stored must never seal anything. The life of a key:
//
//	AddKey ─▶ opens only ──Promote──▶ primary ──Promote of another──▶ opens only ──RemoveKey──▶ gone
//	         (in every process                     (Keyring.RewrapFields moves what
//	          by Keyring.Reload)                     it sealed to the primary)
//
// [Keyring.Rotate] does the first two steps in one, which is right when a single
// process holds the keyset or all are restarted. [FieldKeyIDs] tells which keys a
// record still needs; remove none of those.
//
// AES-GCM takes a random nonce of 96 bits here, so one key should seal far fewer
// than 2^32 values; [Keyring.Seals] counts, [SealsBeforeRotation] is when to act.
package crypto
