package flow

import (
	"context"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/hawser-io/hawser/internal/oauth/endpoint"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// An installation's grant is one of client credentials: its account is the installation, and
// its tokens are requested by the operator's client. The user's token proves whose the
// installation is, and is not stored.

// installs reports whether the authorisation is one of an installed app.
func (a *authorization) installs() bool { return a.def().Auth.OAuth2.Installation != nil }

// provenInstallations returns the installations that the user's token proves to be the
// user's: the one that the callback names, if it names one, else all of them.
func (a *authorization) provenInstallations(listed []records.Resource) ([]records.Resource, error) {
	how := a.def().Auth.OAuth2.Installation
	if how.ID != "" {
		id := a.installationOf(how.ID)
		if id == "" {
			return nil, connectors.Errorf(connectors.CodeConnectorOAuthTokenFailed, "the reply of %s does not say which installation it is for", a.def().Key)
		}
		return []records.Resource{{ID: id}}, nil
	}
	id := a.query.Get(how.Param)
	if id == "" {
		return listed, nil
	}
	named := slices.IndexFunc(listed, func(r records.Resource) bool { return r.ID == id })
	if named < 0 {
		return nil, stateInvalid(reasonMismatch) // of somebody else
	}
	return listed[named : named+1], nil
}

// installationOf returns the id that the reply of the token endpoint has at source. The
// signature of an ID token is not checked: it came over TLS from its issuer (OpenID Connect
// Core 3.1.3.7).
func (a *authorization) installationOf(source string) string {
	from, path, _ := strings.Cut(source, ".")
	if from == "token" {
		return endpoint.ID(a.got.Field(path))
	}
	text, _ := a.got.Field("id_token").(string)
	parsed, err := jwt.ParseSigned(text, idTokenAlgorithms)
	claims := map[string]any{}
	if err != nil || parsed.UnsafeClaimsWithoutVerification(&claims) != nil {
		return ""
	}
	return endpoint.ID(claims[path])
}

// identifyInstallation returns the key of the installation's grant. While the user has to
// choose one it is the connection's own.
func (a *authorization) identifyInstallation(chosen *records.Resource) (grant string) {
	a.account = ""
	if chosen != nil {
		a.account = chosen.ID
	}
	return records.InstallationKey(a.flow.Ref().Tenant, a.def().GrantFamily(), a.server.App.ClientID, a.accountOrConnection(a.account))
}

// requestInstallation replaces the user's tokens by those of the installation: by none while
// the user has to choose one, so that the first use requests them.
func (a *authorization) requestInstallation(ctx context.Context) (err error) {
	reply := a.got
	a.got = endpoint.Response{}.WithDocumentOf(reply)
	if a.installationScopes, err = a.def().ExpandScopes(a.config, a.def().Auth.OAuth2.Installation.Scopes); err != nil || a.account == "" {
		return err
	}
	server, err := a.server.Installation(a.account)
	if err != nil {
		return err
	}
	got, err := a.tokens.Client.ClientCredentials(ctx, server, a.installationScopes)
	if err != nil {
		return endpoint.Coded(err)
	}
	a.got = got.WithDocumentOf(reply)
	return nil
}
