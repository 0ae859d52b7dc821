package connectors

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// TokenBody is a way to write the parameters of a token request.
type TokenBody string

// The ways.
const (
	TokenBodyForm  TokenBody = "form"
	TokenBodyJSON  TokenBody = "json"  // an object of strings
	TokenBodyQuery TokenBody = "query" // of the URL; the body is empty
	// TokenBodyXML is a document with the root element TokenRoot. A parameter's name
	// is the dotted path of an element in it, with an @ before that of an attribute:
	// "credentials.@name" is <request><credentials name="…">.
	TokenBodyXML TokenBody = "xml"
)

var tokenBodies = []TokenBody{TokenBodyForm, TokenBodyJSON, TokenBodyQuery, TokenBodyXML}

// Root is the name of the root element of XML bodies.
func (o *OAuth2) XMLRoot() string {
	if o.TokenRoot == "" {
		return "request"
	}
	return o.TokenRoot
}

var (
	xmlName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
	xmlPath = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_-]*\.)*@?[A-Za-z_][A-Za-z0-9_-]*$`)
)

// oauthBody checks how token requests are written.
func (in *inspection) oauthBody(o *OAuth2) {
	if o.TokenBody != "" && !slices.Contains(tokenBodies, o.TokenBody) {
		in.bad("auth.oauth2.token_body", "must be one of %s, got %q", joined(tokenBodies), o.TokenBody)
	}
	if o.TokenBody != TokenBodyXML {
		if o.TokenRoot != "" {
			in.bad("auth.oauth2.token_root", "is there, but token_body is not xml")
		}
		return
	}
	if !xmlName.MatchString(o.XMLRoot()) || reservedXML(o.XMLRoot()) {
		in.bad("auth.oauth2.token_root", "must be the name of an element")
	}
	for name := range o.TokenParams {
		in.xmlParam("auth.oauth2.token_params."+name, name)
	}
	for name, own := range o.ParamNames {
		if own != "" {
			in.xmlParam("auth.oauth2.param_names."+name, own)
		}
	}
	if o.Mint != nil && o.Mint.AssertionParam != "" {
		in.xmlParam("auth.oauth2.mint.assertion_param", o.ParamName(o.Mint.AssertionParam))
	}
	if o.Repair != nil && o.Repair.AssertionParam != "" {
		in.xmlParam("auth.oauth2.repair.assertion_param", o.ParamName(o.Repair.AssertionParam))
	}
}

// exchangeBody checks how the request of an exchange is written.
func (in *inspection) exchangeBody(path string, x *Exchange) {
	o := in.connector.Auth.OAuth2
	if x.Method == http.MethodGet {
		return // what it sends is the URL's
	}
	if len(x.Omit) > 0 && o.TokenBody != "" && o.TokenBody != TokenBodyForm {
		in.bad(path+".omit", "makes its request a form, but token_body is %s", o.TokenBody)
	}
	if o.TokenBody != TokenBodyXML {
		return
	}
	_, subject := x.FormParams()
	in.xmlParam(path+".token_param", o.ParamName(subject))
	for name := range x.Params {
		if own := o.ParamName(name); own != "" {
			in.xmlParam(path+".params."+name, own)
		}
	}
}

// xmlParam checks the name of a parameter that is written in XML: it is not escaped.
func (in *inspection) xmlParam(path, name string) {
	if !xmlPath.MatchString(name) {
		in.bad(path, "must be the path of an element or attribute")
	}
}

// reservedXML names may not be had by elements.
func reservedXML(name string) bool { return strings.HasPrefix(strings.ToLower(name), "xml") }
