package connectors

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// A recipient is a URL to which a client proves who it is, or to which the token goes
// that only the client's proof has brought.
type recipient struct {
	path, url string
	gets      string // of the client; "" is nothing
}

const (
	getsProof = "the secret of %s (or what it signs)"
	getsToken = "the token of %s"
)

// recipients lists the URLs of a definition that get something of the client. Those of
// who-am-I, the sites and the API get a user's token, which is the tenant's to show; a
// certificate that they are shown too is good for that connection alone.
func (in *inspection) recipients(o *OAuth2) []recipient {
	const at = "auth.oauth2."
	all := []recipient{
		{at + "token_url", o.TokenURL, getsProof}, {at + "refresh_url", o.RefreshURL, getsProof}, {at + "revocation_url", o.RevocationURL, getsProof},
		{at + "exchange.url", o.Exchange.url(), o.shown(o.Exchange)}, {at + "renewal.url", o.Renewal.url(), o.shown(o.Renewal)},
	}
	for _, name := range slices.Sorted(maps.Keys(o.Companions)) {
		own, at := o.Companions[name], at+"companions."+name+"."
		all = append(all, recipient{at + "refresh_url", own.RefreshURL, getsProof}, recipient{at + "revocation_url", own.RevocationURL, getsProof},
			recipient{at + "exchange.url", own.Exchange.url(), o.shown(own.Exchange)})
	}
	if in.connector.Auth.Kind == AuthClientCredentials {
		all = append(all, recipient{"base_url", in.connector.BaseURL, getsToken})
	}
	return all
}

// shown is what a trade shows of the client.
func (o *OAuth2) shown(x *Exchange) string {
	told := slices.Contains([]ClientAuth{"", ClientAuthBody, ClientAuthBasic}, o.ClientAuth)
	if x != nil && told && slices.Contains(x.Omit, "client_secret") {
		return ""
	}
	return getsProof
}

// oauthRecipients refuses that somebody who is not trusted with it chooses the host that
// a client's secret goes to, where that is made of the config. Two could:
//
//	a browser, which writes the redirect's query    only among hosts that the schema lists
//	a tenant, where the secret is the operator's    among those, and below a domain that the template ends in
//
// A Validate is no help: it is asked when the secret has been sent, and the token.
func (in *inspection) oauthRecipients(o *OAuth2) {
	if in.connector.Config == nil {
		return
	}
	told := o.queryFields()
	whose, way := in.sharedSecret(o)
	for _, r := range in.recipients(o) {
		for _, f := range hostFields(r.url) {
			switch {
			case in.connector.Config.Enumerates(f.name):
			case slices.Contains(told, f.name):
				in.bad(r.path, "is made of %q, which the redirect's query fills: the schema must list its values (enum)", f.name)
			case whose != "" && r.gets != "" && !f.below:
				in.bad(r.path, "is made of %q, which anybody could type, and %s would go there: %slist its values in the schema (enum), "+
					"have the host end in the provider's domain (${config.%s}.example.com), or have the config bring the client (client_id, client_secret)",
					f.name, fmt.Sprintf(r.gets, whose), way, f.name)
			}
		}
	}
}

// sharedSecret says whose secret all tenants share in token requests, and what more there
// is to do about it; "" is nobody's. A default config's is shared: a connection that
// begins with it keeps what a change of the config does not name, while the host changes.
func (in *inspection) sharedSecret(o *OAuth2) (whose, way string) {
	if o.operatorProves() {
		return "the operator's client", ""
	}
	doc, bad := decodeConfig(in.connector.DefaultConfig)
	if bad != nil {
		return "", "" // it has been told
	}
	for _, source := range append(slices.Collect(maps.Values(o.TokenParams)), o.ClientSecret) {
		t, err := parseValueTemplate(source)
		if err != nil {
			continue // it has been told
		}
		for _, field := range t.fields() {
			value, _ := doc.lookup(field)
			if value != nil && value != "" && in.connector.Config.IsSecret(field) {
				return "the default config", "leave it out of default_config, "
			}
		}
	}
	return "", ""
}

// expandRecipient is expandURL for a URL that gets something of the client. The schema
// is asked anew whether it lists the values in the host: the config may have been stored
// under an older one, or be that of another connector of the family.
func (c *Connector) expandRecipient(template string, config configValues) (string, *schema.FieldError) {
	if c.Config != nil && strings.Contains(template, fieldMark) {
		for _, f := range hostFields(template) {
			if value, there := config.lookup(f.name); there && !c.Config.AllowsValue(f.name, value) {
				return "", &schema.FieldError{Path: f.name, Message: "is none of the values that the schema lists"}
			}
		}
	}
	return expandURL(template, config)
}

// hostField is a field in the host of a URL's template.
type hostField struct {
	name  string
	below bool // the host lies below a domain of the template, whatever the value
}

// onward is how a host goes on that lies below a domain: that has two names at least,
// and is no address. A value of the field before it cannot end the host, see [hostValue]:
// a port in it would not be the last.
var onward = regexp.MustCompile(`^[A-Za-z0-9-]*(\.[A-Za-z0-9-]+)+\.[A-Za-z][A-Za-z0-9-]*(:[0-9]+)?$`)

// hostFields are the fields that a URL's template has in its host, or as a whole.
func hostFields(template string) (fields []hostField) {
	t, err := parseValueTemplate(template)
	if err != nil {
		return nil // it has been told
	}
	var before strings.Builder
	for i, p := range t {
		if p.field == "" {
			before.WriteString(p.text)
			continue
		}
		where, err := placeAfter(before.String())
		if err == nil && where != inPath {
			fields = append(fields, hostField{p.field, where == inHost && onward.MatchString(t[i+1:].hostRest())})
		}
		before.WriteString("x")
		if where == wholeURL {
			before.WriteString("://x") // what follows without a slash goes on with its host
		}
	}
	return fields
}

// hostRest is what the rest of a URL's template adds to its host, with an x for each
// field: those are looked at for themselves.
func (t valueTemplate) hostRest() string {
	var b strings.Builder
	for _, p := range t {
		text, _, ends := strings.Cut(p.text, "/")
		b.WriteString(text)
		if ends {
			break
		}
		if p.field != "" {
			b.WriteString("x")
		}
	}
	return b.String()
}
