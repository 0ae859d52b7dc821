package ingress

import (
	"net/http"
	"net/url"
	"path"
	"strings"
)

// emptyPathToken stands for the empty identity in a path: an unescaped "=". An
// identity that is an equals sign is written %3D. The empty identity may also be
// written as nothing: /scopes/system//connections.
const emptyPathToken = "="

// fitPath makes an escaped path fit for the mux. It is false for a path that is
// not in its plain form (empty segments, dots): the mux would redirect to the
// plain one, and nothing of ours is there under two names.
func (i *Ingress) fitPath(escaped string) (string, bool) {
	below := i.opts.BasePath + "/scopes/"
	if rest, ok := strings.CutPrefix(escaped, below); ok {
		scope, tail, empty := strings.Cut(rest, "//")
		if empty && scope != "" && !strings.Contains(scope, "/") {
			escaped = below + scope + "/" + emptyPathToken + "/" + tail
		}
	}
	clean := path.Clean(escaped)
	return escaped, strings.HasPrefix(escaped, "/") && (escaped == clean || escaped == clean+"/")
}

// refit gives a request, which is the caller's own, the path that the mux takes.
func (i *Ingress) refit(r *http.Request) bool {
	escaped := r.URL.EscapedPath()
	fit, ok := i.fitPath(escaped)
	if !ok || fit == escaped {
		return ok
	}
	plain, err := url.PathUnescape(fit)
	if err != nil {
		return false
	}
	u := *r.URL
	u.Path, u.RawPath = plain, fit
	r.URL = &u
	return true
}

// identityOf reads the identity of a path: percent-decoded, or empty for a bare
// equals sign.
func (i *Ingress) identityOf(r *http.Request) string {
	rest, _ := strings.CutPrefix(r.URL.EscapedPath(), i.opts.BasePath+"/scopes/")
	_, rest, _ = strings.Cut(rest, "/")
	if segment, _, _ := strings.Cut(rest, "/"); segment == emptyPathToken {
		return ""
	}
	return r.PathValue("identity")
}
