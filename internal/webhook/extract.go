package webhook

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// Delivery is what a request is filed under. Its texts are at most 128 bytes
// of printable ASCII, without space at the ends: what the provider sends
// beyond that is replaced by its hash, "sha256:" and hex. They are still
// foreign: escape them in subjects and keys.
type Delivery struct {
	// ID is the same for the provider's retries. It is the provider's own, or
	// Derived, or empty: then nothing tells a retry from a new delivery.
	ID string
	// Derived says that ID is a hash of body and timestamp, because the
	// provider sends none: identical deliveries collapse.
	Derived bool
	Type    string // "" if the provider names none
	// Accounts are the provider's accounts that the delivery is for, without
	// repeats and in order; usually one.
	Accounts []string
	Sequence string
}

// Bounds of a Delivery.
const (
	longestName = 128
	maxAccounts = 1000
)

// delivery is a compiled webhooks.Extraction.
type delivery struct {
	id, kind, account, sequence template
	repeats                     bool
}

func compileDelivery(x webhooks.Extraction) delivery {
	return delivery{
		id: compileTemplate(x.ID), kind: compileTemplate(x.Type),
		account: compileTemplate(x.Account), sequence: compileTemplate(x.Sequence), repeats: x.Repeats,
	}
}

// Extract says what the request is. Call it after Verify: it believes what it
// reads. It fails at nothing: what is absent stays empty.
func (e *Engine) Extract(r Request) Delivery {
	v := view{engine: e, request: r}
	d := Delivery{
		ID: name(e.delivery.id.text(&v)), Type: name(e.delivery.kind.text(&v)),
		Accounts: e.accounts(&v), Sequence: name(e.delivery.sequence.text(&v)),
	}
	if d.ID == "" && !e.delivery.repeats {
		d.ID, d.Derived = e.derivedID(&v), true
	}
	return d
}

// accounts evaluates the account's template: alternatives of a single
// placeholder may name several values each, and the first that has any counts.
func (e *Engine) accounts(v *view) []string {
	t := e.delivery.account
	if len(t) != 1 || t[0].refs == nil {
		if account := name(t.text(v)); account != "" {
			return []string{account}
		}
		return nil
	}
	for _, ref := range t[0].refs {
		var accounts []string
		seen := map[string]bool{"": true}
		for value := range v.all(ref) {
			value, ok := strings.CutPrefix(value, t[0].strip)
			if account := name(value); ok && !seen[account] {
				seen[account] = true
				accounts = append(accounts, account)
			}
			if len(accounts) == maxAccounts {
				break
			}
		}
		if accounts != nil {
			return accounts
		}
	}
	return nil
}

// derivedID hashes the timestamp of the first way that has one, with its
// length, so that it cannot run into the body, and the raw body.
func (e *Engine) derivedID(v *view) string {
	var at string
	for i := range e.ways {
		if t := e.ways[i].timestamp; t != nil && e.ways[i].each == nil {
			if text, _, reason := t.read(v); reason == "" {
				at = text
				break
			}
		}
	}
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(at))))
	h.Write([]byte(at))
	h.Write(v.request.Body)
	return hashName(h.Sum(nil))
}

// name keeps a short text of printable ASCII and hashes every other, so that
// none can break a header, and none is taken for another.
func name(s string) string {
	plain := len(s) <= longestName && strings.TrimSpace(s) == s
	for i := 0; plain && i < len(s); i++ {
		plain = ' ' <= s[i] && s[i] <= '~'
	}
	if plain {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return hashName(sum[:])
}

func hashName(sum []byte) string { return "sha256:" + hex.EncodeToString(sum) }
