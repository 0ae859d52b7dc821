package flow

import (
	"net/url"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// returnURLs says where browsers may be sent after a flow.
type returnURLs struct {
	base    string
	allowed []string
}

// check refuses return URLs that the operator has not allowed. "" is none.
func (r returnURLs) check(text string) error {
	if text == "" || r.allows(text) {
		return nil
	}
	e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the return URL is not allowed")
	e.Errors = []schema.FieldError{{Path: "return_url", Message: "must be below the base URL, or below one that the operator allows (HAWSER_RETURN_URLS)"}}
	return e
}

func (r returnURLs) allows(text string) bool {
	if len(text) > 2048 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' }) {
		return false
	}
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.Opaque != "" || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return false
	}
	own, err := url.Parse(r.base)
	if err == nil && u.Scheme == own.Scheme && strings.EqualFold(u.Host, own.Host) {
		return true
	}
	return slices.ContainsFunc(r.allowed, func(allowed string) bool {
		a, err := url.Parse(allowed)
		if err != nil || u.Scheme != a.Scheme || !strings.EqualFold(u.Host, a.Host) {
			return false
		}
		prefix := strings.TrimSuffix(a.Path, "/")
		return !strings.Contains(u.Path, "..") && (u.Path == prefix || strings.HasPrefix(u.Path, prefix+"/"))
	})
}
