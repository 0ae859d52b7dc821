package endpoint

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

const (
	maxResources = 500
	maxField     = 512 // bytes of a name, an address
)

// Where user info responses have their values, unless UserFields says otherwise.
var userNames = map[string][]string{
	"id":     {"id", "sub", "user_id", "userId", "uid", "account_id", "gid", "data.id", "user.id", "data.gid", "account.uuid"},
	"name":   {"name", "displayName", "display_name", "username", "full_name", "fullName", "login", "user.name", "data.name"},
	"email":  {"email", "emailAddress", "email_address", "mail", "user.email", "data.email"},
	"avatar": {"avatar", "picture", "avatar_url", "avatarUrl", "photo", "image", "profile_image", "profileImage"},
}

var resourceNames = map[string][]string{
	"id":   {"id", "tenantId", "cloudId", "uid"},
	"name": {"name", "tenantName", "displayName"},
	"url":  {"url", "html_url", "link"},
	"list": {"resources", "values", "data", "items", "results"},
}

// document requests a document of the provider's, by the request that build makes.
func (c Client) document(ctx context.Context, build func(context.Context) (*http.Request, error)) (any, error) {
	ctx, cancel := c.withTimeout(ctx)
	defer cancel()
	req, err := build(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, &connectors.ProviderError{Status: resp.StatusCode}
	}
	doc, ok := decode(body)
	if !ok {
		return nil, errors.New("the response is neither JSON nor a form")
	}
	return doc, nil
}

// requestValues returns what requests about new tokens may name.
func (s Server) requestValues(got Response) connectors.RequestValues {
	reply, _ := got.document.(map[string]any)
	return connectors.RequestValues{Config: s.Config, Client: s.client(secret.Text{}), Access: got.Access, Refresh: got.Refresh, Reply: reply}
}

// UserInfo returns the token's user; nil if the provider has no such endpoint, or
// answers without an id.
func (c Client) UserInfo(ctx context.Context, s Server, got Response) (*records.User, error) {
	if s.Connector.Auth.OAuth2.UserInfoURL == "" {
		return nil, nil
	}
	var doc any
	var err error
	for range 2 {
		if doc, err = c.document(ctx, func(ctx context.Context) (*http.Request, error) {
			return s.Connector.UserInfoRequest(ctx, s.requestValues(got))
		}); err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	fields := s.Connector.Auth.OAuth2.UserFields
	text := func(name string) string { return clip(scalar(find(fields, userNames, name, doc))) }
	u := &records.User{ID: idText(find(fields, userNames, "id", doc)), Name: text("name"), Email: text("email"), Avatar: text("avatar")}
	if u.ID == "" {
		return nil, nil
	}
	return u, nil
}

func clip(s string) string {
	if len(s) > maxField {
		return s[:maxField]
	}
	return s
}

// Resources returns the sites that the token can access; nil if the provider has none.
func (c Client) Resources(ctx context.Context, s Server, got Response) ([]records.Resource, error) {
	def := s.Connector
	if def.Auth.OAuth2.ResourcesURL == "" {
		return nil, nil
	}
	doc, err := c.document(ctx, func(ctx context.Context) (*http.Request, error) {
		return def.ResourcesRequest(ctx, s.requestValues(got))
	})
	if err != nil {
		e := connectors.Errorf(connectors.CodeConnectorOAuthTokenFailed, "the sites of the account at %s could not be read; try again", def.Key)
		e.Cause = err
		return nil, e
	}
	fields := def.Auth.OAuth2.ResourceFields
	list, ok := doc.([]any)
	if !ok || fields["list"] != "" {
		list, _ = find(fields, resourceNames, "list", doc).([]any)
	}
	var out []records.Resource
	for _, item := range list[:min(len(list), maxResources)] {
		text := func(name string) string { return clip(scalar(find(fields, resourceNames, name, item))) }
		if id := idText(find(fields, resourceNames, "id", item)); id != "" {
			out = append(out, records.Resource{ID: id, Name: text("name"), URL: text("url")})
		}
	}
	if len(out) == 0 {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthTokenFailed, "the account at %s has no site that the user may access", def.Key)
	}
	return out, nil
}
