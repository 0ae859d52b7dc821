package webhook

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// reference is a compiled webhooks.Reference. The zero value refers to nothing.
type reference struct {
	kind refKind
	name string
	path []string
}

type refKind uint8

const (
	refNothing refKind = iota
	refBody
	refBodyPath
	refElementPath
	refHeader
	refQuery
	refForm
	refFormField
	refMethod
	refURL
	refTimestamp
	refID
	refSecret
	refHMAC
)

// kinds are the references without a name, and those whose name is used as it is.
var kinds = map[string]refKind{
	"body": refBody, "query": refQuery, "form": refForm, "method": refMethod, "url": refURL,
	"timestamp": refTimestamp, "id": refID, "secret": refSecret, "hmac": refHMAC,
}

// compileReference compiles a reference that Check has accepted.
func compileReference(text string) reference {
	r, err := webhooks.ParseReference(text)
	if err != nil {
		return reference{}
	}
	return compileParsed(r)
}

func compileParsed(r webhooks.Reference) reference {
	switch {
	case r.Kind == "body" && r.Name != "":
		return reference{kind: refBodyPath, path: strings.Split(r.Name, ".")}
	case r.Kind == "each":
		return reference{kind: refElementPath, path: strings.Split(r.Name, ".")}
	case r.Kind == "header":
		return reference{kind: refHeader, name: http.CanonicalHeaderKey(r.Name)}
	case r.Kind == "form" && r.Name != "":
		return reference{kind: refFormField, name: r.Name}
	}
	return reference{kind: kinds[r.Kind], name: r.Name}
}

// publicURL returns the address in the variant that the provider signs.
func publicURL(address, variant string) string {
	switch variant {
	case "decoded":
		return decodeReserved.Replace(address)
	case "port", "noport":
		u, err := url.Parse(address)
		if err != nil || u.Host == "" {
			return address
		}
		before, after, found := strings.Cut(address, u.Host)
		if !found {
			return address
		}
		if variant == "noport" {
			return before + strings.TrimSuffix(u.Host, ":"+u.Port()) + after
		}
		port := map[string]string{"https": "443", "http": "80"}[u.Scheme]
		if u.Port() == "" && port != "" {
			return before + strings.TrimSuffix(u.Host, ":") + ":" + port + after
		}
	}
	return address
}

// decodeReserved decodes the characters that providers decode in the address
// which they sign; everything else stays as received.
var decodeReserved = strings.NewReplacer(
	"%3A", ":", "%2F", "/", "%3F", "?", "%40", "@", "%21", "!", "%24", "$", "%27", "'",
	"%28", "(", "%29", ")", "%2A", "*", "%2C", ",", "%3B", ";",
	"%3a", ":", "%2f", "/", "%3f", "?", "%2a", "*", "%2c", ",", "%3b", ";",
)
