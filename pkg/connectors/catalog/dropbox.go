package catalog

import (
	"net/http"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// dropbox signs with the app's secret. A delivery only says which accounts
// have changed, so that two can be equal.
func dropbox() webhooks.Descriptor {
	return webhooks.Descriptor{
		Source:    "https://www.dropbox.com/developers/reference/webhooks",
		Answer:    only200("https://www.dropbox.com/developers/reference/webhooks"),
		AppSecret: webhooks.AppClientSecret,
		Verify:    one(bodyHMAC("X-Dropbox-Signature", "", webhooks.SHA256, webhooks.EncodingHex)),
		Delivery:  webhooks.Extraction{Account: "{body.list_folder.accounts.*}", Repeats: true},
		Handshakes: []webhooks.Handshake{{
			Name:    "challenge",
			Methods: []string{http.MethodGet},
			When:    []webhooks.Match{{From: "query.challenge", Present: true}},
			Respond: webhooks.Response{Text: "{query.challenge}"},
		}},
	}
}
