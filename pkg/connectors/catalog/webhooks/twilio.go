package webhooks

import (
	"net/http"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// twilio signs the URL, as configured at Twilio, with the account's auth
// token (HMAC-SHA1), followed by the form's parameters, sorted. Where the body
// is no form, the URL carries its SHA-256. Some of its services sign the URL
// with the port and some without, whatever is configured.
func twilio() connectors.Webhook {
	form := connectors.Match{From: "header.Content-Type", Prefix: "application/x-www-form-urlencoded"}
	hashed := connectors.Match{From: "query.bodySHA256", Present: true}
	get := connectors.Match{From: "method", Equals: "GET"}
	empty := connectors.Match{From: "body", Absent: true}
	w := connectors.Webhook{
		Source: "https://www.twilio.com/docs/usage/webhooks/webhooks-security",
		Answer: connectors.Answer{
			// TwiML that says nothing: without any, each message, call and status callback
			// is reported as an error.
			Status: http.StatusOK, ContentType: "text/xml", Body: "<Response/>",
			Source: "https://www.twilio.com/docs/messaging/twiml#status-callbacks",
		},
		SecretField: secretField,
		Methods:     []string{"POST", "GET"},
		Delivery: connectors.Extraction{
			ID:      "{header.I-Twilio-Idempotency-Token}",
			Type:    "{form.EventType|form.MessageStatus|form.SmsStatus|form.CallStatus}",
			Account: "{form.AccountSid|query.AccountSid}",
		},
	}
	for _, url := range []string{"{url.noport}", "{url.port}"} {
		posted := twilioSignature(url+"{form}", form)
		other := twilioSignature(url, hashed)
		other.BodyHash = &connectors.BodyHash{
			From: "query.bodySHA256", Algorithm: connectors.SHA256, Encoding: connectors.EncodingHex,
		}
		w.Verify = append(w.Verify, posted, other, twilioSignature(url, get, empty))
	}
	return w
}

func twilioSignature(signed string, when ...connectors.Match) connectors.Verification {
	return connectors.Verification{
		Scheme:    connectors.SchemeHMAC,
		When:      when,
		Algorithm: connectors.SHA1,
		Encoding:  connectors.EncodingBase64,
		Signature: connectors.Source{From: "header.X-Twilio-Signature"},
		Signed:    signed,
	}
}

// sendgrid signs its event webhook with ECDSA; the key is shown beside the
// setting. The trailing CR LF of the body counts. The time is signed, but no
// age is documented, and retries go on for a day.
func sendgrid() connectors.Webhook {
	return connectors.Webhook{
		Source:      "https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features",
		SecretField: secretField,
		Verify: one(connectors.Verification{
			Scheme:    connectors.SchemeECDSA,
			Algorithm: connectors.SHA256,
			Encoding:  connectors.EncodingBase64,
			Signature: connectors.Source{From: "header.X-Twilio-Email-Event-Webhook-Signature"},
			Signed:    "{header.X-Twilio-Email-Event-Webhook-Timestamp}{body}",
			Key:       connectors.Key{Encoding: connectors.EncodingBase64},
		}),
		// A batch: its items carry sg_event_id, the batch itself has none.
		Delivery: connectors.Extraction{Type: "{body.0.event}"},
	}
}
