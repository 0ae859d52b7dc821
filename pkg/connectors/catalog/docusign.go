package catalog

import (
	"fmt"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// docusign (Connect) sends one signature for each active key, numbered in the
// header's name. A retry counts in the body, so that the id is made of what
// stays the same.
func docusign() webhooks.Descriptor {
	w := webhooks.Descriptor{
		Source:      "https://developers.docusign.com/platform/webhooks/connect/validate/",
		Answer:      only200("https://usermanual.wiki/Document/connectguide.1667631246/html"),
		SecretField: secretField,
		Delivery: webhooks.Extraction{
			ID:       "{body.event}:{body.data.envelopeId}[:{body.data.recipientId}]:{body.generatedDateTime}",
			Type:     "{body.event}",
			Account:  "{body.data.accountId}",
			Sequence: "{body.generatedDateTime}",
		},
	}
	const mostKeys = 10
	for n := 1; n <= mostKeys; n++ {
		header := fmt.Sprintf("X-DocuSign-Signature-%d", n)
		w.Verify = append(w.Verify, bodyHMAC(header, "", webhooks.SHA256, webhooks.EncodingBase64))
	}
	return w
}
