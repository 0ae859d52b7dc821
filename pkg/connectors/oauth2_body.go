package connectors

import "regexp"

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
