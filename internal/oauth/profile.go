package oauth

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

// Where who-am-I replies keep things, unless UserFields says otherwise.
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

// get asks the provider with a token.
func (t *Tokens) get(ctx context.Context, def *connectors.Connector, from string, token secret.Text) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, t.opts.CallTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, err
	}
	header, prefix := def.Auth.OAuth2.AuthorizationHeader()
	req.Header.Set(header, prefix+token.Reveal())
	req.Header.Set("Accept", "application/json")
	resp, err := t.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, &connectors.ProviderError{Status: resp.StatusCode}
	}
	doc, ok := decode(body)
	if !ok {
		return nil, errors.New("the answer is not JSON")
	}
	return doc, nil
}

// user asks who the token's user is. nil if the provider has no such address,
// does not answer, or answers without an id: tokens are never lost over it.
func (t *Tokens) user(ctx context.Context, def *connectors.Connector, from string, token secret.Text) *records.User {
	if from == "" {
		return nil
	}
	var doc any
	var err error
	for range 2 {
		if doc, err = t.get(ctx, def, from, token); err == nil {
			break
		}
	}
	if err != nil {
		t.opts.Log.Warn().Str("connector", def.Key).Str("code", string(connectors.CodeConnectorOAuthParseUserinfoFailed)).Msg("who-am-I failed; the connection goes without")
		return nil
	}
	fields := def.Auth.OAuth2.UserFields
	text := func(name string) string { return clip(scalar(find(fields, userNames, name, doc))) }
	u := &records.User{ID: text("id"), Name: text("name"), Email: text("email"), Avatar: text("avatar")}
	if u.ID == "" {
		return nil
	}
	return u
}

func clip(s string) string {
	if len(s) > maxField {
		return s[:maxField]
	}
	return s
}

// resources lists the sites that the token reaches; nil if the provider has none.
func (t *Tokens) resources(ctx context.Context, def *connectors.Connector, from string, token secret.Text) ([]records.Resource, error) {
	if from == "" {
		return nil, nil
	}
	doc, err := t.get(ctx, def, from, token)
	if err != nil {
		e := connectors.Errorf(connectors.CodeConnectorOAuthTokenFailed, "the sites of the account at %s cannot be had; try again", def.Key)
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
		if id := text("id"); id != "" {
			out = append(out, records.Resource{ID: id, Name: text("name"), URL: text("url")})
		}
	}
	if len(out) == 0 {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthTokenFailed, "the account at %s has no site that the user may use", def.Key)
	}
	return out, nil
}
