package connectors

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/secret"
)

// EndpointRequest is the request of RevocationURL or UserInfoURL. These templates, and that
// of the URL's path and query, may contain besides the config's fields ${app.client_id},
// ${app.extra.<name>}, ${token.access_token} and ${token.refresh_token}; those of a
// revocation ${app.client_secret}; those of a user info any field of the reply of the token
// endpoint, ${token.<path>}. A header, a parameter or a member of the body whose field is
// absent is left out.
//
//	revocation_url: https://api.github.com/applications/${app.client_id}/grant
//	revocation: {method: DELETE, auth: client, body: {access_token: "${token.access_token}"}}
//
//	userinfo_url: https://api.linear.app/graphql
//	userinfo: {method: POST, body: {query: "{ viewer { id name email } }"}}
type EndpointRequest struct {
	// Method is an HTTP method; "" means GET of a user info, POST of a revocation.
	Method  string            `json:"method,omitempty" yaml:"method,omitempty"`
	Headers map[string]string `json:"headers,omitempty" yaml:"headers,omitempty"`
	// Body is sent as JSON; its texts are templates. BodyForm is sent as a form. At most one
	// of them is set.
	Body     any               `json:"body,omitempty" yaml:"body,omitempty"`
	BodyForm map[string]string `json:"body_form,omitempty" yaml:"body_form,omitempty"`
	// Auth is what authenticates the request; "" means token.
	Auth RequestAuth `json:"auth,omitempty" yaml:"auth,omitempty"`
}

// RequestAuth is what authenticates a request.
type RequestAuth string

// What authenticates a request.
const (
	RequestAuthToken  RequestAuth = "token"  // the access token, as in calls of the API
	RequestAuthClient RequestAuth = "client" // the client's id and secret (RFC 7617); of a revocation only
	RequestAuthNone   RequestAuth = "none"
)

var requestAuths = []RequestAuth{"", RequestAuthToken, RequestAuthClient, RequestAuthNone}

// RequestValues are what the templates of a request may name.
type RequestValues struct {
	Config          json.RawMessage `json:"-"`
	Client          Client
	Access, Refresh Secret
	Reply           map[string]any `json:"-"` // of the token endpoint; nil if it is unknown
}

// Format prints nothing of the values.
func (RequestValues) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secret.Redacted) }

// templates returns the values by root.
func (v RequestValues) templates() (templateValues, *schema.FieldError) {
	config, wrong := decodeConfig(v.Config)
	token := configValues(maps.Clone(v.Reply))
	if token == nil {
		token = configValues{}
	}
	token["access_token"], token["refresh_token"] = v.Access.Reveal(), v.Refresh.Reveal()
	return templateValues{"": config, rootApp: v.Client.values(), rootToken: token}, wrong
}

// UserInfoRequest returns the request for the token's user. It fails with
// CONNECTOR_CONFIG_INVALID if a value cannot be used.
func (c *Connector) UserInfoRequest(ctx context.Context, v RequestValues) (*http.Request, error) {
	o := c.Auth.OAuth2
	return c.endpointRequest(ctx, http.MethodGet, o.UserInfoURL, o.UserInfo, v)
}

// ResourcesRequest returns the request for the sites that a token can access.
func (c *Connector) ResourcesRequest(ctx context.Context, v RequestValues) (*http.Request, error) {
	return c.endpointRequest(ctx, http.MethodGet, c.Auth.OAuth2.ResourcesURL, nil, v)
}

// RevocationRequest returns the request of [OAuth2.Revocation], which has to be set.
func (c *Connector) RevocationRequest(ctx context.Context, v RequestValues) (*http.Request, error) {
	o := c.Auth.OAuth2
	return c.endpointRequest(ctx, http.MethodPost, o.RevocationURL, o.Revocation, v)
}

func (c *Connector) endpointRequest(ctx context.Context, method, to string, how *EndpointRequest, v RequestValues) (*http.Request, error) {
	if how == nil {
		how = &EndpointRequest{}
	}
	values, wrong := v.templates()
	if wrong != nil {
		return nil, c.unresolved(*wrong)
	}
	target, wrong := c.expandSecretURL(to, values)
	if wrong != nil {
		return nil, c.unresolved(*wrong)
	}
	headers, wrong := expandAllWith(how.Headers, values)
	if wrong != nil {
		return nil, c.unresolved(*wrong)
	}
	body, contentType, wrong := how.content(values)
	if wrong != nil {
		return nil, c.unresolved(*wrong)
	}
	req, err := http.NewRequestWithContext(ctx, cmp.Or(how.Method, method), target, bytes.NewReader(body))
	if err != nil {
		return nil, Errorf(CodeConnectorOAuthNotConfigured, "the definition of %s makes no valid request", c.Key)
	}
	if len(body) == 0 {
		req.Body, req.ContentLength, req.GetBody = http.NoBody, 0, nil
	}
	req.Header.Set("Accept", "application/json")
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	c.Auth.OAuth2.authenticate(req, how.Auth, v)
	for name, value := range headers {
		req.Header.Set(name, value.Reveal())
	}
	return req, nil
}

// authenticate adds what authenticates a request.
func (o *OAuth2) authenticate(req *http.Request, auth RequestAuth, v RequestValues) {
	switch auth {
	case RequestAuthNone:
	case RequestAuthClient:
		pair := base64.StdEncoding.EncodeToString([]byte(v.Client.ID + ":" + v.Client.Secret.Reveal()))
		req.Header.Set("Authorization", "Basic "+pair)
	default:
		if o.TokenQuery != "" {
			added := url.Values{o.TokenQuery: {v.Access.Reveal()}}.Encode()
			req.URL.RawQuery = strings.TrimPrefix(req.URL.RawQuery+"&"+added, "&")
			return
		}
		header, prefix := o.AuthorizationHeader()
		req.Header.Set(header, prefix+v.Access.Reveal())
	}
}

// content returns the request's body, filled in.
func (r *EndpointRequest) content(values templateValues) (body []byte, contentType string, wrong *schema.FieldError) {
	switch {
	case r.Body != nil:
		filled, wrong := fillBody(r.Body, values)
		if wrong != nil {
			return nil, "", wrong
		}
		body, err := json.Marshal(filled)
		if err != nil {
			return nil, "", &schema.FieldError{Message: "makes no JSON body"}
		}
		return body, "application/json", nil
	case r.BodyForm != nil:
		params, wrong := expandAllWith(r.BodyForm, values)
		form := url.Values{}
		for name, value := range params {
			form.Set(name, value.Reveal())
		}
		return []byte(form.Encode()), "application/x-www-form-urlencoded", wrong
	}
	return nil, "", nil
}

// fillBody fills in the texts of a JSON document. A member without a value is left out.
func fillBody(body any, values templateValues) (any, *schema.FieldError) {
	switch v := body.(type) {
	case string:
		t, err := parseValueTemplate(v, allRoots...)
		if err != nil {
			return nil, &schema.FieldError{Message: "the template of the body " + err.Error()}
		}
		text, wrong := t.expandWith(values)
		if text == "" && v != "" {
			return nil, wrong
		}
		return text, wrong
	case map[string]any:
		filled := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			value, wrong := fillBody(v[name], values)
			if wrong != nil {
				return nil, wrong
			}
			if value != nil {
				filled[name] = value
			}
		}
		return filled, nil
	case []any:
		filled := make([]any, 0, len(v))
		for _, item := range v {
			value, wrong := fillBody(item, values)
			if wrong != nil {
				return nil, wrong
			}
			filled = append(filled, value)
		}
		return filled, nil
	}
	return body, nil
}

// templates lists the templates of a request, nil included: by their place below it.
func (r *EndpointRequest) templates() map[string]string {
	all := map[string]string{}
	if r == nil {
		return all
	}
	for name, t := range r.Headers {
		all["headers."+name] = t
	}
	for name, t := range r.BodyForm {
		all["body_form."+name] = t
	}
	bodyTemplates("body", r.Body, all)
	return all
}

func bodyTemplates(path string, body any, all map[string]string) {
	switch v := body.(type) {
	case string:
		all[path] = v
	case map[string]any:
		for name, member := range v {
			bodyTemplates(path+"."+name, member, all)
		}
	case []any:
		for _, item := range v {
			bodyTemplates(path, item, all) // items share a path: only the last is named
		}
	}
}
