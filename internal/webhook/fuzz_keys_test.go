package webhook_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// FuzzKeys answers a fetch of keys with any bytes, and configures them as the
// public key: nothing panics, and nothing that another key signed verifies.
func FuzzKeys(f *testing.F) {
	private := rsaKeys()["k1"]
	ours := &keyServer{private: map[string]*rsa.PrivateKey{"k1": private}}
	spki, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		f.Fatal(err)
	}
	modulus := base64.RawURLEncoding.EncodeToString(private.N.Bytes())
	for _, seed := range []string{
		"", "{}", ours.document(), `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`, `{"keys":[{"kty":"RSA","n":"` + modulus + `","e":"AQ"}]}`, `{"keys":null}`, `{"keys":[{"kty":1}]}`,
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate(f, private)})), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})),
		string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&private.PublicKey)})), "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
	} {
		f.Add([]byte(seed))
	}
	other := rsaKeys()["k2"] // its public key is in no seed
	withToken := request("Authorization", "Bearer "+token(f, `{"alg":"RS256","kid":"k1"}`, valid(), rs256(f, other)), "b")
	signed := request("X-Signature", base64.StdEncoding.EncodeToString(rs256(f, other)("b")), "b")
	signed.Header.Set("X-Cert", "https://a.example.com/c.pem")
	byCertificate := byPublicKey(webhooks.SchemeRSA, "")
	byCertificate.Verify[0].Key = webhooks.Key{CertificateURL: "header.X-Cert", Addresses: []string{"https://a.example.com/*"}}
	byConfig := byPublicKey(webhooks.SchemeRSA, webhooks.EncodingPEM)
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &keyServer{respond: func(*http.Request) (*http.Response, error) { return answer(200, string(data)), nil }}
		for name, c := range map[string]struct {
			webhook *webhooks.Descriptor
			request webhook.Request
		}{
			"key set":     {bearer(&webhooks.JWT{Algorithm: "RS256", JWKS: keyServerURL, Audience: "{url}"}), withToken},
			"certificate": {byCertificate, signed},
			"configured":  {byConfig, signed},
		} {
			e, err := webhook.Compile(c.webhook, &webhook.Options{Keys: s.keys(func() time.Time { return now })})
			if err != nil {
				t.Fatal(err)
			}
			configured := secret.New(string(data))
			if err := e.CheckSecret(configured); err != nil && len(data) > 20 && strings.Contains(err.Error(), string(data)) {
				t.Errorf("the refusal shows what was configured: %v", err)
			}
			if _, err := e.Verify(t.Context(), c.request, []secret.Text{configured}); err == nil {
				t.Errorf("%s: verified with %q", name, data)
			}
		}
	})
}
