package connectors

import (
	"errors"
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
//	https://example.com/?o=${config.org}  a value of the query: escaped
type place uint8

const (
	wholeURL place = iota
	inHost
	inPath
	inQuery // also of the fragment
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
	case strings.ContainsAny(rest, "?#"):
		return inQuery, nil
	case strings.Contains(rest, "/"):
		return inPath, nil
	default:
		return inHost, nil
	}
}

// hostValue is an allowed value of a field inside a host. Internationalised names have to
// be in their ASCII form.
var hostValue = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$`)

// expandURL fills in the template of a URL that paths are appended to. Every field is
// required.
func expandURL(template string, config configValues) (string, *schema.FieldError) {
	filled, wrong := fillURL(template, templateValues{"": config})
	if wrong != nil {
		return "", wrong
	}
	filled = strings.TrimRight(filled, "/")
	if checkURL(filled) != nil {
		return "", &schema.FieldError{Message: "does not make a valid URL"}
	}
	return filled, nil
}

// expandEndpoint fills in the template of the URL of an endpoint, which stays as it is
// written: with a slash at its end, a query and a fragment. Every field is required.
func expandEndpoint(template string, values templateValues) (string, *schema.FieldError) {
	filled, wrong := fillURL(template, values)
	if wrong == nil && checkEndpoint(filled) != nil {
		wrong = &schema.FieldError{Message: "does not make a valid URL"}
	}
	return filled, wrong
}

// fillURL fills in the template of a URL. Only values of the config can be in its host.
func fillURL(template string, values templateValues) (string, *schema.FieldError) {
	t, err := parseValueTemplate(template, values.roots()...)
	if err != nil {
		return "", &schema.FieldError{Message: "the template of the URL " + err.Error()}
	}
	var b strings.Builder
	for _, p := range t {
		if p.field == "" {
			b.WriteString(p.text)
			continue
		}
		value, wrong := values[p.root].text(p.field)
		if wrong != nil {
			return "", wrong
		}
		if value == "" {
			return "", &schema.FieldError{Path: p.field, Message: "is required"}
		}
		where, err := placeAfter(b.String())
		if err == nil && p.root != "" && where < inPath {
			err = errRootInHost
		}
		if err != nil {
			return "", &schema.FieldError{Message: "the template of the URL " + err.Error()}
		}
		value = p.filter(value)
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
		case inQuery:
			value = url.QueryEscape(value)
		}
		b.WriteString(value)
	}
	return b.String(), nil
}

// errRootInHost is the error of a template whose host is not the definition's or the
// config's.
var errRootInHost = errors.New("must not have a field of the app or the token in its host")

// checkURL requires a URL that paths can be appended to.
func checkURL(text string) error {
	if err := checkEndpoint(text); err != nil {
		return err
	}
	u, err := url.Parse(text)
	if err != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "#") {
		return fmt.Errorf("must not contain a query or a fragment")
	}
	return nil
}

// checkEndpoint requires the URL of an endpoint.
func checkEndpoint(text string) error {
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
	}
	return nil
}

// checkURLTemplate checks a template without a config: its literal parts, with a
// placeholder for each field.
func checkURLTemplate(template string) error {
	sample, err := sampleURL(template)
	if err != nil {
		return err
	}
	return checkURL(sample)
}

// sampleURL returns a URL that a template could make.
func sampleURL(template string, roots ...string) (string, error) {
	t, err := parseValueTemplate(template, roots...)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, p := range t {
		if p.field == "" {
			b.WriteString(p.text)
			continue
		}
		where, err := placeAfter(b.String())
		if err == nil && p.root != "" && where < inPath {
			err = errRootInHost
		}
		if err != nil {
			return "", err
		}
		if where == wholeURL {
			b.WriteString("https://example.com")
		} else {
			b.WriteString("x")
		}
	}
	return b.String(), nil
}
