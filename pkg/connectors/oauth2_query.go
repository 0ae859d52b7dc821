package connectors

import (
	"maps"
	"slices"
	"strings"
)

// TellsBefore reports whether the redirect's query fills fields of the config: which
// has to happen before a code is exchanged, since addresses may be made of them.
func (o *OAuth2) TellsBefore() bool { return len(o.queryFields()) > 0 }

// queryFields are the config's fields that Metadata fills from the redirect's query.
func (o *OAuth2) queryFields() (fields []string) {
	for _, field := range slices.Sorted(maps.Keys(o.Metadata)) {
		if from, _, _ := strings.Cut(o.Metadata[field], "."); from == "query" {
			fields = append(fields, field)
		}
	}
	return fields
}

// oauthPlaces refuses that a browser, which writes the query, can choose who gets the
// client's secret: what it says may choose among listed hosts only.
func (in *inspection) oauthPlaces(o *OAuth2) {
	if in.connector.Config == nil {
		return
	}
	told := o.queryFields()
	places := map[string]string{
		"token_url": o.TokenURL, "refresh_url": o.RefreshURL, "revocation_url": o.RevocationURL,
		"exchange.url": o.Exchange.url(), "renewal.url": o.Renewal.url(),
	}
	for name, own := range o.Companions {
		path := "companions." + name
		places[path+".refresh_url"], places[path+".revocation_url"], places[path+".exchange.url"] = own.RefreshURL, own.RevocationURL, own.Exchange.url()
	}
	for path, source := range places {
		for _, field := range hostFields(source) {
			if slices.Contains(told, field) && !in.connector.Config.lists(field) {
				in.bad("auth.oauth2."+path, "is made of %q, which the redirect's query fills: the schema must list its values (enum)", field)
			}
		}
	}
}

// hostFields are the fields that a URL's template has in its host, or as a whole.
func hostFields(template string) (fields []string) {
	t, err := parseValueTemplate(template)
	if err != nil {
		return nil
	}
	var before strings.Builder
	for _, p := range t {
		if p.field == "" {
			before.WriteString(p.text)
			continue
		}
		where, err := placeAfter(before.String())
		if err == nil && where != inPath {
			fields = append(fields, p.field)
		}
		if before.WriteString("x"); where == wholeURL {
			before.WriteString("://x") // what follows without a slash goes on with its host
		}
	}
	return fields
}
