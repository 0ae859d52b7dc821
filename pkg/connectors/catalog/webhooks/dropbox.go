package webhooks

import (
	"net/http"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// dropbox signs with the app's secret. A delivery only says which accounts
// have changed, so that two can be equal.
func dropbox() connectors.Webhook {
	return connectors.Webhook{
		Source:    "https://www.dropbox.com/developers/reference/webhooks",
		Answer:    only200("https://www.dropbox.com/developers/reference/webhooks"),
		AppSecret: connectors.AppClientSecret,
		Verify:    one(bodyHMAC("X-Dropbox-Signature", "", connectors.SHA256, connectors.EncodingHex)),
		Delivery:  connectors.Extraction{Account: "{body.list_folder.accounts.*}", Repeats: true},
		Handshakes: []connectors.Handshake{{
			Name:    "challenge",
			Methods: []string{http.MethodGet},
			When:    []connectors.Match{{From: "query.challenge", Present: true}},
			Respond: connectors.Response{Text: "{query.challenge}"},
		}},
	}
}
