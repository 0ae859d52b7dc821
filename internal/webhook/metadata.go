package webhook

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// Metadata is what a request says about itself. Its texts are at most 128 bytes
// of printable ASCII without space at the ends; any other value is replaced by
// its hash, "sha256:" and hex. The texts come from outside: escape them in
// subjects and keys.
type Metadata struct {
	// ID is the same for all attempts of one delivery. It is the provider's, or
	// Derived, or empty: then a repetition cannot be recognised.
	ID string
	// Derived says that ID is a hash of body and timestamp, because the provider
	// sends none: identical deliveries have the same.
	Derived bool
	Type    string // "" if the provider names none
	// Accounts are the provider's accounts that the delivery is for, in order and
	// each once; usually one.
	Accounts []string
	Sequence string
}

// Limits of Metadata.
const (
	maxName     = 128 // bytes
	maxAccounts = 1000
)

// extraction is a compiled webhooks.Extraction.
type extraction struct {
	id, eventType, account, sequence template
	repeats                          bool
}

func compileExtraction(x webhooks.Extraction) extraction {
	return extraction{
		id: compileTemplate(x.ID), eventType: compileTemplate(x.Type),
		account: compileTemplate(x.Account), sequence: compileTemplate(x.Sequence), repeats: x.Repeats,
	}
}

// Extract returns the metadata of a request. Call it after Verify: it does not
// verify. It cannot fail: what is absent stays empty.
func (e *Engine) Extract(r Request) Metadata {
	in := input{engine: e, request: plain(e.descriptor, r)}
	m := Metadata{
		ID: name(e.extraction.id.text(&in)), Type: name(e.extraction.eventType.text(&in)),
		Accounts: e.accounts(&in), Sequence: name(e.extraction.sequence.text(&in)),
	}
	if m.ID == "" && !e.extraction.repeats {
		m.ID, m.Derived = e.derivedID(&in), true
	}
	return m
}

// accounts returns the values of the account's template. If that is a single
// placeholder, each of its alternatives may have several values, and the first
// alternative with any counts.
func (e *Engine) accounts(in *input) []string {
	t := e.extraction.account
	if len(t) != 1 || t[0].refs == nil {
		if account := name(t.text(in)); account != "" {
			return []string{account}
		}
		return nil
	}
	for _, ref := range t[0].refs {
		var accounts []string
		seen := map[string]bool{"": true}
		for value := range in.all(ref) {
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

// derivedID returns the hash of the first valid timestamp, after its length so
// that it cannot run into the body, and of the raw body.
func (e *Engine) derivedID(in *input) string {
	var at string
	for i := range e.verifiers {
		if v := &e.verifiers[i]; v.timestamp != nil && v.each == nil {
			if text, _, reason := v.timestamp.read(in); reason == "" {
				at = text
				break
			}
		}
	}
	h := sha256.New()
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(at))))
	h.Write([]byte(at))
	h.Write(in.request.Body)
	return hashName(h.Sum(nil))
}

// name returns a short text of printable ASCII as it is and the hash of any
// other, so that no text can break a header, and none passes for another.
func name(s string) string {
	isUnprintable := func(r rune) bool { return r < ' ' || r > '~' }
	if len(s) <= maxName && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, isUnprintable) {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return hashName(sum[:])
}

func hashName(sum []byte) string { return "sha256:" + hex.EncodeToString(sum) }
