package demo

import (
	"context"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// oauthConnector is demo-oauth. The operator's app for it is [ClientID] with [ClientSecret].
func oauthConnector(providerURL string) connectors.Connector {
	return connectors.Connector{
		Key: "demo-oauth",
		Metadata: connectors.Metadata{
			Name: "Demo (OAuth)", Description: "The demo provider with a user's consent.", Categories: []string{"demo"},
		},
		Config:  schema.For[struct{}](),
		BaseURL: providerURL,
		Auth: connectors.Auth{
			Kind: connectors.AuthOAuth2,
			OAuth2: &connectors.OAuth2{
				AuthorizationURL: providerURL + "/authorize",
				TokenURL:         providerURL + "/token",
				RevocationURL:    providerURL + "/revoke",
				UserInfoURL:      providerURL + "/userinfo",
				ResourcesURL:     providerURL + "/resources",
				Issuer:           providerURL,
				Scopes:           []string{"read", "profile"},
				OptionalScopes:   []string{"write", "multi"},
				ClientAuth:       connectors.ClientAuthBody,
			},
		},
		Actions: []connectors.Action{
			connectors.NewAction("me", me, &connectors.ActionOptions{
				Description: "Says whose account this is.", Idempotent: true,
			}),
		},
	}
}

func me(ctx context.Context, call *connectors.Call, _ struct{}) (account, error) {
	return request[account](ctx, call, "/api/me", nil)
}
