package connectors

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// Where a field stands in the template of a URL decides what its value may hold,
// so that no config can move a request to another host or path than the template
// means:
//
//	${config.baseUrl}/v2                  the whole URL: http or https, a host, no user
//	https://${config.region}.example.com  a host: letters, digits, dots, dashes; a port
//	https://example.com/${config.org}/v1  a step of the path: escaped, not ".."
type place uint8

const (
	wholeURL place = iota
	inHost
	inPath
)

// placeAfter returns where a field stands that follows the text.
func placeAfter(text string) (place, error) {
	if text == "" {
		return wholeURL, nil
	}
	_, rest, found := strings.Cut(text, "://")
	switch {
	case !found:
		return 0, fmt.Errorf("must not have a field before ://")
	case strings.Contains(rest, "/"):
		return inPath, nil
	default:
		return inHost, nil
	}
}

// hostValue is what a field inside a host may hold. Names in other scripts have to
// come in their ASCII form.
var hostValue = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$`)

// expandURL fills the template of a URL in. Every field has to be there.
func expandURL(template string, config configValues) (string, *schema.FieldError) {
	t, err := parseValueTemplate(template)
	if err != nil {
		return "", &schema.FieldError{Message: "the template of the URL " + err.Error()}
	}
	var b strings.Builder
	for _, p := range t {
		if p.field == "" {
			b.WriteString(p.text)
			continue
		}
		value, wrong := config.text(p.field)
		if wrong != nil {
			return "", wrong
		}
		if value == "" {
			return "", &schema.FieldError{Path: p.field, Message: "is required"}
		}
		where, err := placeAfter(b.String())
		if err != nil {
			return "", &schema.FieldError{Message: "the template of the URL " + err.Error()}
		}
		switch where {
		case wholeURL:
			if checkURL(value) != nil {
				return "", &schema.FieldError{Path: p.field, Message: "must be an http or https URL without user, query or fragment"}
			}
			value = strings.TrimRight(value, "/")
		case inHost:
			if !hostValue.MatchString(value) || strings.Contains(value, "..") {
				return "", &schema.FieldError{Path: p.field, Message: "must be a host name, or a part of one"}
			}
		case inPath:
			if value == "." || value == ".." {
				return "", &schema.FieldError{Path: p.field, Message: "must be a step of a path"}
			}
			value = url.PathEscape(value)
		}
		b.WriteString(value)
	}
	expanded := strings.TrimRight(b.String(), "/")
	if err := checkURL(expanded); err != nil {
		return "", &schema.FieldError{Message: "does not make a valid URL"}
	}
	return expanded, nil
}

// checkURL demands a URL that paths can be added to.
func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return fmt.Errorf("is not a URL") // the parser's own error quotes it
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("must begin with http:// or https://")
	case u.Hostname() == "":
		return fmt.Errorf("has no host")
	case u.User != nil:
		return fmt.Errorf("must not hold a user")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#"):
		return fmt.Errorf("must not hold a query or a fragment")
	}
	return nil
}

// checkURLTemplate checks a template before there is a config: its literal parts
// with a plain word in each field's place.
func checkURLTemplate(template string) error {
	t, err := parseValueTemplate(template)
	if err != nil {
		return err
	}
	var b strings.Builder
	for _, p := range t {
		if p.field == "" {
			b.WriteString(p.text)
			continue
		}
		where, err := placeAfter(b.String())
		if err != nil {
			return err
		}
		if where == wholeURL {
			b.WriteString("https://example.com")
		} else {
			b.WriteString("x")
		}
	}
	return checkURL(b.String())
}
