package connectors

import (
	"encoding/json"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/template"
)

// providerMessage finds the message of an error where most providers have it; "" if it is
// not there.
func providerMessage(body []byte) string {
	var document any
	if json.Unmarshal(body, &document) != nil {
		return ""
	}
	for _, path := range []string{"error.message", "error_description", "message", "error", "detail", "title"} {
		if value, _ := template.Lookup(document, path); value != nil {
			if text, ok := value.(string); ok && text != "" {
				return ShortMessage(text)
			}
		}
	}
	return ""
}

// ShortMessage bounds a provider's message to what a person reads.
func ShortMessage(text string) string {
	const most = 300
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}
