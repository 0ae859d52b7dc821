package webhooks

import (
	"fmt"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// docusign (Connect) sends one signature for each active key, numbered in the
// header's name. A retry counts in the body, so that the id is made of what
// stays the same.
func docusign() connectors.Webhook {
	w := connectors.Webhook{
		Source:      "https://developers.docusign.com/platform/webhooks/connect/validate/",
		Answer:      only200("https://usermanual.wiki/Document/connectguide.1667631246/html"),
		SecretField: secretField,
		Delivery: connectors.Extraction{
			ID:       "{body.event}:{body.data.envelopeId}[:{body.data.recipientId}]:{body.generatedDateTime}",
			Type:     "{body.event}",
			Account:  "{body.data.accountId}",
			Sequence: "{body.generatedDateTime}",
		},
	}
	const mostKeys = 10
	for n := 1; n <= mostKeys; n++ {
		header := fmt.Sprintf("X-DocuSign-Signature-%d", n)
		w.Verify = append(w.Verify, bodyHMAC(header, "", connectors.SHA256, connectors.EncodingBase64))
	}
	return w
}
