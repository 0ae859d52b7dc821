package crypto_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/secret"
)

const canary = "canary7f3a"

// Every way to fail that this package has, with a canary where the secret is.
func TestNoErrorTextHoldsASecret(t *testing.T) {
	t.Parallel()
	var errs []error
	note := func(_ any, err error) { errs = append(errs, err) }
	k, other := newKeyring(t), newKeyring(t)

	note(k.Seal([]byte(canary), crypto.Binding{}, "/a"))
	note(k.Seal([]byte(canary), here, "no pointer"))
	for _, text := range []string{
		canary, "enc:" + canary, "enc:v1:" + canary, "enc:v1:" + strings.Repeat(canary, 10), "enc:v2:" + canary, "enc:v2" + canary,
		mustSeal(t, other, canary, "/a"), mustSeal(t, k, canary, "/b"), mustSeal(t, k, canary, "/a") + canary,
	} {
		note(k.Open(text, here, "/a"))
		note(k.OpenFields([]byte(`{"a":`+quote(text)+`}`), []string{"/a"}, here))
		note(crypto.FieldKeyIDs([]byte(`{"a":`+quote(text+"=")+`}`), []string{"/a"}))
		note(crypto.KeyID(text + "="))
		note(nil, crypto.VerifyCheckValue(k, text))
	}
	for _, doc := range []string{
		canary, `{"a":` + canary + `}`, `{"a":"` + canary + `}`, `{"a":"` + canary + `\q"}`, `{"a":"` + canary + "\xff\"}", `{"a":"x"}` + canary,
		`{"a":{"b":["` + canary + `"]}`, `{"a":"x",` + canary + `}`,
	} {
		note(k.SealFields([]byte(doc), []string{"/a"}, here))
		note(k.OpenFields([]byte(doc), []string{"/a"}, here))
		note(crypto.MaskFields([]byte(doc), []string{"/a"}))
	}
	note(k.OpenFields([]byte(`{"a":["`+canary+`"]}`), []string{"/a"}, here))
	note(k.OpenFields([]byte(`{"a":"`+mustSeal(t, k, canary, "/a")+`"}`), []string{"/a"}, here))
	for _, text := range []string{canary, `{"primaryKeyId":"` + canary + `"}`, `{"` + canary + `":1}`, strings.Replace(keysetText(7, gcmKey(7, 32, "TINK", "ENABLED")), `"value":"`, `"value":"`+canary, 1)} {
		note(crypto.ParseKeyset(secret.New(text)))
		note(crypto.Load("env:X", func(string) string { return text }))
		note(nil, k.Reload(secret.New(text)))
		note(nil, crypto.SaveKeyset(t.TempDir()+"/k", secret.New(text), nil))
	}

	for i, err := range errs {
		if err == nil {
			t.Errorf("failure %d is none", i)
			continue
		}
		shown := err.Error() + fmt.Sprintf("%+v %#v", err, err)
		for _, form := range []string{canary, base64.StdEncoding.EncodeToString([]byte(canary))[:12], hex.EncodeToString([]byte(canary))} {
			if strings.Contains(shown, form) {
				t.Errorf("failure %d shows the secret: %s", i, shown)
			}
		}
	}
}
