package connectors

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"

	"github.com/hawser-io/hawser/pkg/secret"
)

// Limits of the texts that leave.
const (
	longestText   = 500 // bytes of a message
	shortestFound = 4   // bytes of a secret: shorter ones would tear words apart
)

// redact returns the text without the secrets of the call and its companions, plain
// or encoded for a URL or in base64, and not longer than longestText.
func redact(text string, call *Call) string {
	if call != nil && text != "" {
		for _, s := range call.secrets() {
			value := s.Reveal()
			if len(value) < shortestFound {
				continue
			}
			for _, form := range []string{
				value, url.QueryEscape(value), url.PathEscape(value),
				base64.StdEncoding.EncodeToString([]byte(value)), base64.URLEncoding.EncodeToString([]byte(value)),
			} {
				text = strings.ReplaceAll(text, form, secret.Redacted)
			}
		}
	}
	if len(text) > longestText {
		text = strings.ToValidUTF8(text[:longestText], "") + "…"
	}
	return text
}

// publicText is the text of an error that nobody wrote for strangers. That of a
// failed request would name its whole URL, and with it inner addresses and
// credentials.
func publicText(err error) string {
	request, ok := errors.AsType[*url.Error](err)
	switch {
	case !ok:
		return err.Error()
	case request.Timeout():
		return "the provider did not answer in time"
	default:
		return "the request to the provider failed"
	}
}
