package crypto_test

import (
	"errors"
	"fmt"

	"github.com/hawser-io/hawser/pkg/crypto"
)

func ExampleKeyring_SealFields() {
	keyset, err := crypto.NewKeyset()
	if err != nil {
		panic(err)
	}
	keyring, err := crypto.ParseKeyset(keyset)
	if err != nil {
		panic(err)
	}

	record := []byte(`{"name":"shop","config":{"apiKey":"sk_live_1"}}`)
	secrets := []string{"/config/apiKey"}
	alice := crypto.Binding{Bucket: "hawser-connections", Key: "acme.alice.shop.default"}
	sealed, err := keyring.SealFields(record, secrets, alice)
	if err != nil {
		panic(err)
	}

	opened, err := keyring.OpenFields(sealed, secrets, alice)
	fmt.Println(string(opened), err)

	// Copied into another tenant's record, it does not open.
	bob := crypto.Binding{Bucket: "hawser-connections", Key: "acme.bob.shop.default"}
	_, err = keyring.OpenFields(sealed, secrets, bob)
	fmt.Println(errors.Is(err, crypto.ErrTampered))
	// Output:
	// {"name":"shop","config":{"apiKey":"sk_live_1"}} <nil>
	// true
}

func ExampleMaskFields() {
	shown, err := crypto.MaskFields([]byte(`{"apiKey":"sk_live_0123456789abcdef","channel":"general"}`), []string{"/apiKey"})
	fmt.Println(string(shown), err)
	// Output: {"apiKey":"sk_l***cdef","channel":"general"} <nil>
}
