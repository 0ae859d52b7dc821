package oauth

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

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
	how := e.def.Auth.OAuth2.Repair
	return e.signed(ctx, how.GrantType, how.AssertionParam, func(reader) assertionClaims { return assertionClaims{now: e.now()} })
}

// repairByCode has the connector repair.
func (e endpoint) repairByCode(ctx context.Context, old secret.Text) (reply, *failure) {
	return e.byCode(ctx, func(ctx context.Context, client *http.Client, clientSecret secret.Text) (json.RawMessage, error) {
		return e.def.Auth.OAuth2.RepairToken(ctx, &connectors.LostToken{
			HTTP: client, URL: e.url, ClientID: e.app.ClientID, ClientSecret: clientSecret, Refresh: old,
		})
	})
}
