package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// typeform signs the body; beware that its digest is base64 after "sha256=".
func typeform() connectors.Webhook {
	return connectors.Webhook{
		Source:      "https://www.typeform.com/developers/webhooks/secure-your-webhooks/",
		SecretField: secretField,
		Verify:      one(bodyHMAC("Typeform-Signature", "sha256=", connectors.SHA256, connectors.EncodingBase64)),
		Delivery: connectors.Extraction{
			ID: "{body.event_id}", Type: "{body.event_type}", Account: "{body.form_response.form_id}",
			Sequence: "{body.form_response.submitted_at}",
		},
	}
}
