package crypto_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/secret"
)

func TestRotateSealsWithTheNewKeyAndOpensWithTheOld(t *testing.T) {
	t.Parallel()
	old := newKeyring(t)
	before := mustSeal(t, old, "plain", "/a")
	rotated := mustParse(t, must(t)(old.Rotate()))
	if old.PrimaryID() == rotated.PrimaryID() || len(old.KeyIDs()) != 1 {
		t.Fatalf("primary %d of keys %v before, %d after: want another after, and the old keyring unchanged", old.PrimaryID(), old.KeyIDs(), rotated.PrimaryID())
	}
	want := []uint32{old.PrimaryID(), rotated.PrimaryID()}
	slices.Sort(want)
	if got := rotated.KeyIDs(); !cmp.Equal(got, want) {
		t.Errorf("KeyIDs() = %v, want %v", got, want)
	}
	after := mustSeal(t, rotated, "plain", "/a")
	for envelope, want := range map[string]uint32{before: old.PrimaryID(), after: rotated.PrimaryID()} {
		if got, err := crypto.KeyID(envelope); err != nil || got != want {
			t.Errorf("KeyID = %d, %v, want %d", got, err, want)
		}
		if plain, err := rotated.Open(envelope, here, "/a"); err != nil || string(plain) != "plain" {
			t.Errorf("Open = %q, %v, want plain", plain, err)
		}
	}
	if _, err := old.Open(after, here, "/a"); !errors.Is(err, crypto.ErrUnknownKey) {
		t.Errorf("the old keyset opens what the new key has sealed: %v, want ErrUnknownKey", err)
	}
}

func TestKeysAreAddedPromotedAndRemovedOneStepAtATime(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	first := k.PrimaryID()
	text, second, err := k.AddKey()
	if err != nil {
		t.Fatal(err)
	}
	added := mustParse(t, text)
	if added.PrimaryID() != first || !slices.Contains(added.KeyIDs(), second) {
		t.Fatalf("after AddKey: %v, want primary %d and also key %d", added, first, second)
	}
	promoted := mustParse(t, must(t)(added.Promote(second)))
	if promoted.PrimaryID() != second {
		t.Fatalf("after Promote: %v, want primary %d", promoted, second)
	}
	if _, err := added.Open(mustSeal(t, promoted, "x", "/a"), here, "/a"); err != nil {
		t.Errorf("a process that has the added key cannot open what the promoted key has sealed: %v", err)
	}
	removed := mustParse(t, must(t)(promoted.RemoveKey(first)))
	if got := removed.KeyIDs(); !cmp.Equal(got, []uint32{second}) {
		t.Errorf("after RemoveKey: keys %v, want %d only", got, second)
	}
	if _, err := removed.Open(mustSeal(t, k, "x", "/a"), here, "/a"); !errors.Is(err, crypto.ErrUnknownKey) {
		t.Errorf("the removed key: %v, want ErrUnknownKey", err)
	}
	if _, err := promoted.RemoveKey(second); !errors.Is(err, crypto.ErrKeyset) || !strings.Contains(err.Error(), "promote another") {
		t.Errorf("RemoveKey of the primary: %v, want ErrKeyset with an instruction", err)
	}
	if _, err := promoted.RemoveKey(second ^ 1); !errors.Is(err, crypto.ErrUnknownKey) {
		t.Errorf("RemoveKey of no key: %v, want ErrUnknownKey", err)
	}
	if _, err := promoted.Promote(second ^ 1); !errors.Is(err, crypto.ErrUnknownKey) {
		t.Errorf("Promote of no key: %v, want ErrUnknownKey", err)
	}
}

func TestRewrapFieldsMovesEnvelopesToThePrimary(t *testing.T) {
	t.Parallel()
	old := newKeyring(t)
	const doc = `{"a":"secret","list":[{"t":1.0},{"t":null}],"plain":"x"}`
	pointers := []string{"/a", "/list/*/t"}
	sealed := mustSealFields(t, old, doc, pointers...)
	k := mustParse(t, must(t)(old.Rotate()))

	ids, err := crypto.FieldKeyIDs([]byte(sealed), pointers)
	if err != nil || !cmp.Equal(ids, []uint32{old.PrimaryID()}) {
		t.Errorf("FieldKeyIDs = %v, %v, want the old key %d", ids, err, old.PrimaryID())
	}
	rewrapped, n, err := k.RewrapFields([]byte(sealed), pointers, here)
	if err != nil || n != 2 {
		t.Fatalf("RewrapFields = %d fields, %v, want 2", n, err)
	}
	if ids, err := crypto.FieldKeyIDs(rewrapped, pointers); err != nil || !cmp.Equal(ids, []uint32{k.PrimaryID()}) {
		t.Errorf("FieldKeyIDs = %v, %v, want the new key %d", ids, err, k.PrimaryID())
	}
	only := mustParse(t, must(t)(k.RemoveKey(old.PrimaryID())))
	if got := mustOpenFields(t, only, string(rewrapped), pointers...); got != doc {
		t.Errorf("after rewrap and removal of the old key got %s, want %s", got, doc)
	}
	again, n, err := k.RewrapFields(rewrapped, pointers, here)
	if err != nil || n != 0 || string(again) != string(rewrapped) {
		t.Errorf("second RewrapFields = %d fields, %v, want 0 and the document unchanged", n, err)
	}
	if _, _, err := k.RewrapFields([]byte(doc), pointers, here); !errors.Is(err, crypto.ErrNotSealed) {
		t.Errorf("RewrapFields of plaintext: %v, want ErrNotSealed", err)
	}
	if _, err := crypto.FieldKeyIDs([]byte(doc), pointers); !errors.Is(err, crypto.ErrNotSealed) {
		t.Errorf("FieldKeyIDs of plaintext: %v, want ErrNotSealed", err)
	}
}

func TestReloadAcceptsOnlyNewerVersionsOfTheSameKeyset(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	first := k.PrimaryID()
	envelope := mustSeal(t, k, "x", "/a")
	count := k.Seals()[first]
	if err := k.Reload(must(t)(k.Rotate())); err != nil {
		t.Fatal(err)
	}
	if k.PrimaryID() == first {
		t.Error("the primary is still the old one after Reload")
	}
	if _, err := k.Open(envelope, here, "/a"); err != nil {
		t.Errorf("Open after Reload: %v", err)
	}
	if got := k.Seals()[first]; got < count {
		t.Errorf("Seals of the old key = %d after Reload, want %d at least", got, count)
	}
	before := k.String()
	if err := k.Reload(must(t)(crypto.NewKeyset())); !errors.Is(err, crypto.ErrWrongKeyset) || k.String() != before {
		t.Errorf("Reload of another keyset: %v and %v, want ErrWrongKeyset and no change", err, k)
	}
	if err := k.Reload(secret.Text{}); !errors.Is(err, crypto.ErrNoKeyset) || k.String() != before {
		t.Errorf("Reload of no keyset: %v and %v, want ErrNoKeyset and no change", err, k)
	}
}

func TestSealAndOpenSucceedDuringRotation(t *testing.T) {
	t.Parallel()
	k := newKeyring(t)
	first := k.PrimaryID()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				envelope, err := k.Seal([]byte("x"), here, "/a")
				if err != nil {
					t.Error(err)
				}
				if _, err := k.Open(envelope, here, "/a"); err != nil {
					t.Error(err)
				}
				_ = k.Seals()
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for range 10 {
		if err := k.Reload(must(t)(k.Rotate())); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
	if got := len(k.KeyIDs()); got != 11 || k.PrimaryID() == first {
		t.Errorf("%d keys with primary %d, want 11 and another than %d", got, k.PrimaryID(), first)
	}
}
