package oauth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// assertionLife is how long a JWT of a repair is good.
const assertionLife = time.Minute

// repairable reports whether the provider has a way back from a lost rotation.
func (e endpoint) repairable() bool {
	o := e.def.Auth.OAuth2
	return o.Repair != nil || o.RepairToken != nil
}

// repair asks for new tokens where the answer to a refresh may have been lost. The
// failure's verdict is refused where there is no repair, or none for this grant.
func (e endpoint) repair(ctx context.Context, old secret.Text) (reply, *failure) {
	if e.def.Auth.OAuth2.RepairToken != nil {
		return e.repairByCode(ctx, old)
	}
	return e.withEachSecret(ctx, func(ctx context.Context, id, clientSecret string) error {
		return e.repairByAssertion(ctx, id, clientSecret)
	})
}

func (e endpoint) repairByAssertion(ctx context.Context, id, clientSecret string) error {
	how := e.def.Auth.OAuth2.Repair
	jwt := assertion(id, clientSecret, e.now())
	form := url.Values{"grant_type": {how.GrantType}}
	if how.AssertionParam != "" {
		form.Set(how.AssertionParam, jwt)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if how.AssertionParam == "" {
		req.Header.Set("Authorization", "Bearer "+jwt)
	}
	resp, err := clientOf(ctx).Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// assertion is a JWT (RFC 7519) by which the client says who it is. Header and
// claims are all ours, so there is nothing in it that would need escaping but the id.
func assertion(id, clientSecret string, now time.Time) string {
	claims, err := json.Marshal(struct {
		Issuer  string `json:"iss"`
		Subject string `json:"sub"`
		Issued  int64  `json:"iat"`
		Expires int64  `json:"exp"`
		ID      string `json:"jti"`
	}{id, id, now.Unix(), now.Add(assertionLife).Unix(), events.NewID()})
	if err != nil {
		return "" // strings and numbers can always be written
	}
	signed := encoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encoding.EncodeToString(claims)
	mac := hmac.New(sha256.New, []byte(clientSecret))
	mac.Write([]byte(signed))
	return signed + "." + encoding.EncodeToString(mac.Sum(nil))
}

// repairByCode has the connector repair. Its errors say by [connectors.Permanent]
// that there is no way back.
func (e endpoint) repairByCode(ctx context.Context, old secret.Text) (reply, *failure) {
	ctx, cancel := context.WithTimeout(ctx, e.limit)
	defer cancel()
	if e.before != nil {
		if err := e.before(); err != nil {
			return reply{}, e.unanswered(err)
		}
	}
	lost := &connectors.LostToken{
		HTTP: &http.Client{Transport: e.http.Transport, CheckRedirect: e.http.CheckRedirect, Timeout: e.limit},
		URL:  e.url, ClientID: e.app.ClientID, Refresh: old,
	}
	if len(e.app.ClientSecrets) > 0 {
		lost.ClientSecret = e.app.ClientSecrets[0]
	}
	doc, err := guarded(func() ([]byte, error) { return e.def.Auth.OAuth2.RepairToken(ctx, lost) })
	switch {
	case err != nil && connectors.IsPermanent(err):
		return reply{}, &failure{verdict: refused, code: connectors.CodeConnectorOAuthTokenFailed, cause: err}
	case err != nil:
		return reply{}, &failure{verdict: transient, code: connectors.CodeConnectorOAuthTokenFailed, lost: true, cause: err}
	case doc == nil:
		return reply{}, &failure{verdict: refused, code: connectors.CodeConnectorOAuthTokenFailed}
	}
	return parseReply(&connectors.OAuth2{}, http.StatusOK, nil, doc, e.now())
}
