package endpoint

import (
	"context"
	"net/http"
	"net/url"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// ExchangeToken exchanges a token for another (RFC 8693, and what providers did before
// it) as how says, at one of the server's URLs.
func (c Client) ExchangeToken(ctx context.Context, s Server, to string, how *connectors.Exchange, subject secret.Text) (Response, error) {
	params, subjectParam := how.FormParams()
	form := url.Values{subjectParam: {subject.Reveal()}}
	for name, value := range params {
		form.Set(name, value)
	}
	o := *s.Connector.Auth.OAuth2
	if how.TokenFields != nil {
		o.TokenFields = how.TokenFields
	}
	if len(how.Omit) > 0 {
		o.TokenBody = connectors.TokenBodyForm
	}
	if how.Method == http.MethodGet {
		o.TokenBody = connectors.TokenBodyQuery
	}
	return c.request(ctx, tokenRequest{server: s, oauth2: &o, url: to, form: form, method: how.Method, omit: how.Omit})
}
