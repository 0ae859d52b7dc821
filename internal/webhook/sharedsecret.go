package webhook

import (
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// maxSharedSecret bounds a shared secret in a request, in bytes.
const maxSharedSecret = 4096

// verifySharedSecret compares the candidates with each secret, in a time that
// depends on neither contents nor lengths.
func (v *verifier) verifySharedSecret(candidates []string, secrets []secret.Text) (int, error) {
	return v.trySecrets(secrets, func(text secret.Text) *Rejection {
		for _, candidate := range candidates {
			if len(candidate) > maxSharedSecret {
				return v.reject(ReasonMalformedSignature)
			}
			if v.encoding == webhooks.EncodingBase64 {
				decoded, ok := decode(candidate, v.encoding)
				if !ok {
					return v.reject(ReasonMalformedSignature)
				}
				candidate = string(decoded)
			}
			if secret.New(candidate).Equal(text) {
				return nil
			}
		}
		return v.reject(ReasonBadSignature)
	})
}
