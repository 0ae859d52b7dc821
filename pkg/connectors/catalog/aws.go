package catalog

import "github.com/hawser-io/hawser/pkg/connectors/webhooks"

// awsSNS signs named fields of the body with RSA; the certificate lies at an
// address that the body names, on a host of the service. Topics are confirmed
// by visiting another. Raw message delivery is not signed and not accepted.
func awsSNS() webhooks.Descriptor {
	confirm := func(kind string) webhooks.Handshake {
		return webhooks.Handshake{
			Name:     kind,
			When:     []webhooks.Match{{From: "body.Type", Equals: kind}},
			Verified: true,
		}
	}
	subscribe := confirm("SubscriptionConfirmation")
	subscribe.Visit = "{body.SubscribeURL}"
	subscribe.Addresses = []string{"https://sns.*.amazonaws.com/?*", "https://sns.*.amazonaws.com.cn/?*"}
	w := webhooks.Descriptor{
		Source: "https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html",
		Delivery: webhooks.Extraction{
			ID: "{body.MessageId}", Type: "{body.Type}", Account: "{body.TopicArn}", Sequence: "{body.Timestamp}",
		},
		Handshakes: []webhooks.Handshake{subscribe, confirm("UnsubscribeConfirmation")},
	}
	for version, algorithm := range []webhooks.Algorithm{webhooks.SHA1, webhooks.SHA256} {
		for _, kind := range []string{"Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"} {
			w.Verify = append(w.Verify, snsSignature(string(rune('1'+version)), algorithm, kind))
		}
	}
	return w
}

func snsSignature(version string, algorithm webhooks.Algorithm, kind string) webhooks.Verification {
	signed := "Message\n{body.Message}\nMessageId\n{body.MessageId}\n[Subject\n{body.Subject}\n]" +
		"Timestamp\n{body.Timestamp}\nTopicArn\n{body.TopicArn}\nType\n{body.Type}\n"
	if kind != "Notification" {
		signed = "Message\n{body.Message}\nMessageId\n{body.MessageId}\nSubscribeURL\n{body.SubscribeURL}\n" +
			"Timestamp\n{body.Timestamp}\nToken\n{body.Token}\nTopicArn\n{body.TopicArn}\nType\n{body.Type}\n"
	}
	return webhooks.Verification{
		Scheme:    webhooks.SchemeRSA,
		When:      []webhooks.Match{{From: "body.SignatureVersion", Equals: version}, {From: "body.Type", Equals: kind}},
		Algorithm: algorithm,
		Encoding:  webhooks.EncodingBase64,
		Signature: webhooks.Source{From: "body.Signature"},
		Signed:    signed,
		Key: webhooks.Key{
			CertificateURL: "body.SigningCertURL",
			Addresses: []string{
				"https://sns.*.amazonaws.com/SimpleNotificationService-*.pem",
				"https://sns.*.amazonaws.com.cn/SimpleNotificationService-*.pem",
			},
		},
	}
}
