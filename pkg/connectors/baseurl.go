package connectors

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// The place of a field in the template of a URL decides which values are allowed, so
// that no config can change the host or path of the template:
//
//	${config.baseUrl}/v2                  the whole URL: http or https, a host, no user
//	https://${config.region}.example.com  a host: letters, digits, dots, dashes; a port
//	https://example.com/${config.org}/v1  a segment of the path: escaped, not ".."
type place uint8

const (
	wholeURL place = iota
	inHost
	inPath
)

// placeAfter returns the place of a field that follows the text.
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

// hostValue is an allowed value of a field inside a host. Internationalised names have to
// be in their ASCII form.
var hostValue = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$`)

// expandURL fills in the template of a URL. Every field is required.
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
				return "", &schema.FieldError{Path: p.field, Message: "must be a segment of a path"}
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

// checkURL requires a URL that paths can be appended to.
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
		return fmt.Errorf("must not contain a user")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#"):
		return fmt.Errorf("must not contain a query or a fragment")
	}
	return nil
}

// checkURLTemplate checks a template without a config: its literal parts, with a
// placeholder for each field.
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
