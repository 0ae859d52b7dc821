package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// recovered runs a connector's code and returns a panic as an error: it would end the
// process. The panic's value is dropped, since it may hold a token.
func recovered[T any](f func() (T, error)) (answer T, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("oauth: the connector's code panicked")
		}
	}()
	return f()
}

// mintByCode has the connector request a token for the client.
func (c Client) mintByCode(ctx context.Context, s Server, scopes []string) (Response, error) {
	got, err := c.byCode(ctx, s, func(ctx context.Context, client *http.Client, clientSecret secret.Text) (json.RawMessage, error) {
		return s.Connector.Auth.OAuth2.MintToken(ctx, &connectors.MintRequest{
			HTTP: client, URL: s.URLs.Token, ClientID: s.App.ClientID, ClientSecret: clientSecret, Scopes: scopes, Config: s.Config,
		})
	})
	if failed, ok := errors.AsType[*Error](err); ok {
		failed.MayHaveSucceeded = false // no token was spent
	}
	return got, err
}

// repairByCode has the connector request new tokens after a lost rotation.
func (c Client) repairByCode(ctx context.Context, s Server, lost secret.Text) (Response, error) {
	return c.byCode(ctx, s, func(ctx context.Context, client *http.Client, clientSecret secret.Text) (json.RawMessage, error) {
		return s.Connector.Auth.OAuth2.RepairToken(ctx, &connectors.LostToken{
			HTTP: client, URL: s.URLs.Refresh, ClientID: s.App.ClientID, ClientSecret: clientSecret, Refresh: lost,
		})
	})
}

// byCode runs ask, which is a connector's code, with the client's first secret. An
// error that is [connectors.Permanent], or neither a response nor an error, means that
// trying again does not help.
func (c Client) byCode(ctx context.Context, s Server, ask func(context.Context, *http.Client, secret.Text) (json.RawMessage, error)) (Response, error) {
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	if err := c.checkTime(); err != nil {
		return Response{}, noResponse(err)
	}
	clientSecret := s.secrets()[0]
	if certificate, err := s.Connector.ClientCertificate(s.Config); err == nil {
		if cred, err := newCredential(s, clientSecret, certificate); err == nil {
			ctx = cred.withCertificate(ctx)
		}
	}
	client := &http.Client{Transport: c.HTTP.Transport, CheckRedirect: c.HTTP.CheckRedirect, Timeout: c.Timeout}
	doc, err := recovered(func() (json.RawMessage, error) { return ask(ctx, client, clientSecret) })
	switch {
	case err != nil && connectors.IsPermanent(err):
		return Response{}, &Error{Kind: Rejected, Code: connectors.CodeConnectorOAuthTokenFailed, cause: err}
	case err != nil:
		return Response{}, &Error{Kind: Transient, Code: connectors.CodeConnectorOAuthTokenFailed, MayHaveSucceeded: true, cause: err}
	case doc == nil:
		return Response{}, &Error{Kind: Rejected, Code: connectors.CodeConnectorOAuthTokenFailed}
	}
	got, failed := parseResponse(&connectors.OAuth2{}, rawResponse{status: http.StatusOK, body: doc}, c.Now())
	if failed != nil {
		return Response{}, failed
	}
	return got, nil
}
