package webhooks

import (
	"fmt"
	"net/url"
	"strings"
)

// URLPattern limits which https URLs of a request may be requested. It is written
// like a URL, with * for one or more letters, digits, hyphens, dots (in the path only) or
// underscores:
//
//	https://sns.*.amazonaws.com/SimpleNotificationService-*.pem
//	https://sns.*.amazonaws.com/?*     any query
//
// The last two labels of the host have no *. User info, ports, fragments and,
// without ?*, queries are refused. The zero value accepts nothing.
type URLPattern struct {
	host, path string
	query      bool
}

// ParseURLPattern parses a pattern.
func ParseURLPattern(text string) (URLPattern, error) {
	rest, found := strings.CutPrefix(text, "https://")
	host, path, _ := strings.Cut(rest, "/")
	labels := strings.Split(host, ".")
	if !found || len(labels) < 2 || strings.ContainsAny(host, "@:?#[]% ") {
		return URLPattern{}, fmt.Errorf("%q is not of the form https://host/path", text)
	}
	for i, label := range labels {
		if label == "" || strings.Count(label, "*") > 1 || (i >= len(labels)-2 && strings.Contains(label, "*")) {
			return URLPattern{}, fmt.Errorf("%q: * is allowed once in each label of the host, and not in the last two", text)
		}
	}
	path, query := strings.CutSuffix("/"+path, "?*")
	if strings.ContainsAny(path, "?#%") {
		return URLPattern{}, fmt.Errorf("%q: the path contains ?, # or %%", text)
	}
	for segment := range strings.SplitSeq(path, "/") {
		if strings.Count(segment, "*") > 1 {
			return URLPattern{}, fmt.Errorf("%q: * is allowed once in each part of the path", text)
		}
	}
	return URLPattern{host: strings.ToLower(host), path: path, query: query}, nil
}

// Match reports whether the pattern accepts the URL.
func (p URLPattern) Match(address string) bool {
	if p.host == "" || len(address) > maxTemplate {
		return false
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Fragment != "" || u.Port() != "" || u.RawPath != "" {
		return false
	}
	if u.RawQuery != "" && !p.query {
		return false
	}
	path := u.Path
	if path == "" {
		path = "/"
	}
	return matchParts(p.host, strings.ToLower(u.Host), ".") && matchParts(p.path, path, "/")
}

// matchParts compares part by part, so that a * never crosses a separator.
func matchParts(pattern, text, separator string) bool {
	patterns, parts := strings.Split(pattern, separator), strings.Split(text, separator)
	if len(patterns) != len(parts) {
		return false
	}
	for i := range patterns {
		before, after, wild := strings.Cut(patterns[i], "*")
		if !wild {
			if parts[i] != patterns[i] {
				return false
			}
			continue
		}
		middle, ok := strings.CutPrefix(parts[i], before)
		if !ok {
			return false
		}
		middle, ok = strings.CutSuffix(middle, after)
		if !ok || middle == "" || strings.Trim(middle, urlWildcard) != "" {
			return false
		}
	}
	return true
}

const urlWildcard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
