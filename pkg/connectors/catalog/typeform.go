package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// typeform signs the body; beware that its digest is base64 after "sha256=".
func typeform() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:      "https://www.typeform.com/developers/webhooks/secure-your-webhooks/",
		SecretField: secretField,
		Verify:      one(bodyHMAC("Typeform-Signature", "sha256=", webhooks.SHA256, webhooks.EncodingBase64)),
		Delivery: webhooks.Extraction{
			ID: "{body.event_id}", Type: "{body.event_type}", Account: "{body.form_response.form_id}",
			Sequence: "{body.form_response.submitted_at}",
		},
	}
}
