package webhooks

import "github.com/hawser-io/hawser/pkg/connectors"

// awsSNS signs named fields of the body with RSA; the certificate lies at an
// address that the body names, on a host of the service. Topics are confirmed
// by visiting another. Raw message delivery is not signed and not accepted.
func awsSNS() connectors.Webhook {
	confirm := func(kind string) connectors.Handshake {
		return connectors.Handshake{
			Name:     kind,
			When:     []connectors.Match{{From: "body.Type", Equals: kind}},
			Verified: true,
		}
	}
	subscribe := confirm("SubscriptionConfirmation")
	subscribe.Visit = "{body.SubscribeURL}"
	subscribe.Addresses = []string{"https://sns.*.amazonaws.com/?*", "https://sns.*.amazonaws.com.cn/?*"}
	w := connectors.Webhook{
		Source: "https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html",
		Delivery: connectors.Extraction{
			ID: "{body.MessageId}", Type: "{body.Type}", Account: "{body.TopicArn}", Sequence: "{body.Timestamp}",
		},
		Handshakes: []connectors.Handshake{subscribe, confirm("UnsubscribeConfirmation")},
	}
	for version, algorithm := range []connectors.Algorithm{connectors.SHA1, connectors.SHA256} {
		for _, kind := range []string{"Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"} {
			w.Verify = append(w.Verify, snsSignature(string(rune('1'+version)), algorithm, kind))
		}
	}
	return w
}

func snsSignature(version string, algorithm connectors.Algorithm, kind string) connectors.Verification {
	signed := "Message\n{body.Message}\nMessageId\n{body.MessageId}\n[Subject\n{body.Subject}\n]" +
		"Timestamp\n{body.Timestamp}\nTopicArn\n{body.TopicArn}\nType\n{body.Type}\n"
	if kind != "Notification" {
		signed = "Message\n{body.Message}\nMessageId\n{body.MessageId}\nSubscribeURL\n{body.SubscribeURL}\n" +
			"Timestamp\n{body.Timestamp}\nToken\n{body.Token}\nTopicArn\n{body.TopicArn}\nType\n{body.Type}\n"
	}
	return connectors.Verification{
		Scheme:    connectors.SchemeRSA,
		When:      []connectors.Match{{From: "body.SignatureVersion", Equals: version}, {From: "body.Type", Equals: kind}},
		Algorithm: algorithm,
		Encoding:  connectors.EncodingBase64,
		Signature: connectors.Source{From: "body.Signature"},
		Signed:    signed,
		Key: connectors.Key{
			CertificateURL: "body.SigningCertURL",
			Addresses: []string{
				"https://sns.*.amazonaws.com/SimpleNotificationService-*.pem",
				"https://sns.*.amazonaws.com.cn/SimpleNotificationService-*.pem",
			},
		},
	}
}
