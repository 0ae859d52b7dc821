package catalog

import (
	"net/http"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// twilio signs the URL, as configured at Twilio, with the account's auth
// token (HMAC-SHA1), followed by the form's parameters, sorted. Where the body
// is no form, the URL carries its SHA-256. Some of its services sign the URL
// with the port and some without, whatever is configured.
func twilio() webhooks.Descriptor {
	form := webhooks.Match{From: "header.Content-Type", Prefix: "application/x-www-form-urlencoded"}
	hashed := webhooks.Match{From: "query.bodySHA256", Present: true}
	get := webhooks.Match{From: "method", Equals: "GET"}
	empty := webhooks.Match{From: "body", Absent: true}
	w := webhooks.Descriptor{
		Source: "https://www.twilio.com/docs/usage/webhooks/webhooks-security",
		Answer: webhooks.Answer{
			// TwiML that says nothing: without any, each message, call and status callback
			// is reported as an error.
			Status: http.StatusOK, ContentType: "text/xml", Body: "<Response/>",
			Source: "https://www.twilio.com/docs/messaging/twiml#status-callbacks",
		},
		SecretField: secretField,
		Methods:     []string{"POST", "GET"},
		Delivery: webhooks.Extraction{
			ID:      "{header.I-Twilio-Idempotency-Token}",
			Type:    "{form.EventType|form.MessageStatus|form.SmsStatus|form.CallStatus}",
			Account: "{form.AccountSid|query.AccountSid}",
		},
	}
	for _, url := range []string{"{url.noport}", "{url.port}"} {
		posted := twilioSignature(url+"{form}", form)
		other := twilioSignature(url, hashed)
		other.BodyHash = &webhooks.BodyHash{
			From: "query.bodySHA256", Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex,
		}
		w.Verify = append(w.Verify, posted, other, twilioSignature(url, get, empty))
	}
	return w
}

func twilioSignature(signed string, when ...webhooks.Match) webhooks.Verification {
	return webhooks.Verification{
		Scheme:    webhooks.SchemeHMAC,
		When:      when,
		Algorithm: webhooks.SHA1,
		Encoding:  webhooks.EncodingBase64,
		Signature: webhooks.Source{From: "header.X-Twilio-Signature"},
		Signed:    signed,
	}
}

// sendgrid signs its event webhook with ECDSA; the key is shown beside the
// setting. The trailing CR LF of the body counts. The time is signed, but no
// age is documented, and retries go on for a day.
func sendgrid() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:      "https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features",
		SecretField: secretField,
		Verify: one(webhooks.Verification{
			Scheme:    webhooks.SchemeECDSA,
			Algorithm: webhooks.SHA256,
			Encoding:  webhooks.EncodingBase64,
			Signature: webhooks.Source{From: "header.X-Twilio-Email-Event-Webhook-Signature"},
			Signed:    "{header.X-Twilio-Email-Event-Webhook-Timestamp}{body}",
			Key:       webhooks.Key{Encoding: webhooks.EncodingBase64},
		}),
		// A batch: its items carry sg_event_id, the batch itself has none.
		Delivery: webhooks.Extraction{Type: "{body.0.event}"},
	}
}
