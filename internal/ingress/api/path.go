package api

import (
	"net/http"
	"net/url"
	"path"
	"strings"
)

// emptyPathToken stands for the empty identity in a path: an unescaped "=". An
// identity that is an equals sign is written %3D. The empty identity may also be
// an empty segment: /scopes/system//connections.
const emptyPathToken = "="

// BasePath is the path below which the API lies, without a slash at its end.
type BasePath string

// pattern puts the base path into a pattern of the mux, "<method> <path>".
func (b BasePath) pattern(pattern string) string {
	method, path, _ := strings.Cut(pattern, " ")
	return method + " " + string(b) + path
}

// Normalize writes an empty identity in the request's path as [emptyPathToken]. It
// is false for a path with other empty segments or with dots: the mux would redirect
// it to the clean path, and no resource has two paths.
func (b BasePath) Normalize(r *http.Request) bool {
	escaped := r.URL.EscapedPath()
	normal, ok := b.normalize(escaped)
	if !ok || normal == escaped {
		return ok
	}
	plain, err := url.PathUnescape(normal)
	if err != nil {
		return false
	}
	u := *r.URL
	u.Path, u.RawPath = plain, normal
	r.URL = &u
	return true
}

func (b BasePath) normalize(escaped string) (string, bool) {
	below := string(b) + "/scopes/"
	if rest, ok := strings.CutPrefix(escaped, below); ok {
		scope, tail, empty := strings.Cut(rest, "//")
		if empty && scope != "" && !strings.Contains(scope, "/") {
			escaped = below + scope + "/" + emptyPathToken + "/" + tail
		}
	}
	clean := path.Clean(escaped)
	return escaped, strings.HasPrefix(escaped, "/") && (escaped == clean || escaped == clean+"/")
}

// Identity returns the identity of a normalized path: percent-decoded, or empty for
// [emptyPathToken].
func (b BasePath) Identity(r *http.Request) string {
	rest, _ := strings.CutPrefix(r.URL.EscapedPath(), string(b)+"/scopes/")
	_, rest, _ = strings.Cut(rest, "/")
	if segment, _, _ := strings.Cut(rest, "/"); segment == emptyPathToken {
		return ""
	}
	return r.PathValue("identity")
}
