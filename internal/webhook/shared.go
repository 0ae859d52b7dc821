package webhook

import (
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// longestShared bounds a shared secret that a request offers.
const longestShared = 4096

// checkShared compares the candidates with each secret, in a time that shows
// neither contents nor lengths.
func (w *way) checkShared(candidates []string, secrets []secret.Text) (int, error) {
	reason := ReasonNoSecret
	for index, text := range secrets {
		if text.IsZero() {
			continue
		}
		for _, candidate := range candidates {
			if len(candidate) > longestShared {
				return -1, w.reject(ReasonMalformedSignature)
			}
			if w.encoding == webhooks.EncodingBase64 {
				decoded, ok := decode(nil, candidate, w.encoding)
				if !ok {
					return -1, w.reject(ReasonMalformedSignature)
				}
				candidate = string(decoded)
			}
			if secret.New(candidate).Equal(text) {
				return index, nil
			}
		}
		reason = ReasonBadSignature
	}
	return -1, w.reject(reason)
}
