package connectors

import (
	"regexp"
	"strings"
)

// hostField is a field in the host of a URL's template.
type hostField struct {
	name  string
	below bool // the host lies below a domain of the template, whatever the value
}

// domainSuffix is the rest of a host that lies below a domain: at least two names, and no
// IP address. A value of the field before it cannot end the host, see [hostValue]: a port
// in it would not be the last.
var domainSuffix = regexp.MustCompile(`^[A-Za-z0-9-]*(\.[A-Za-z0-9-]+)+\.[A-Za-z][A-Za-z0-9-]*(:[0-9]+)?$`)

// hostFields returns the fields that a URL's template has in its host, or as a whole.
func hostFields(template string) (fields []hostField) {
	t, err := parseValueTemplate(template, allRoots...)
	if err != nil {
		return nil // reported where the template is checked
	}
	var before strings.Builder
	for i, p := range t {
		if p.field == "" {
			before.WriteString(p.text)
			continue
		}
		where, err := placeAfter(before.String())
		if err == nil && where < inPath {
			fields = append(fields, hostField{p.field, where == inHost && domainSuffix.MatchString(t[i+1:].hostRest())})
		}
		before.WriteString("x")
		if where == wholeURL {
			before.WriteString("://x") // text that follows without a slash continues the host
		}
	}
	return fields
}

// hostRest returns what the rest of a URL's template adds to its host, with an x for each
// field: fields are checked one by one.
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
