package connectors

import (
	"maps"
	"strings"
)

// appMark is the beginning of a placeholder for a part of the operator's OAuth client.
const appMark = "${" + rootApp + "."

// appTemplates are the headers and parameters of an Auth that name the operator's OAuth
// client, with the config that fills in the rest of them.
type appTemplates struct {
	connector *Connector
	auth      Auth
	config    configValues
}

// byApp splits headers and parameters into those without and those with the operator's
// OAuth client.
func (a *Auth) byApp() (own, ofApp Auth) {
	split := func(templates map[string]string) (own, ofApp map[string]string) {
		for name, t := range templates {
			to := &own
			if strings.Contains(t, appMark) {
				to = &ofApp
			}
			if *to == nil {
				*to = map[string]string{}
			}
			(*to)[name] = t
		}
		return own, ofApp
	}
	own.Headers, ofApp.Headers = split(a.Headers)
	own.Query, ofApp.Query = split(a.Query)
	return own, ofApp
}

// NeedsApp reports whether requests need the headers or parameters of the operator's OAuth
// client, which [Runtime.WithApp] adds.
func (r Runtime) NeedsApp() bool { return r.ofApp != nil }

// WithApp returns the runtime with the headers and parameters of the operator's OAuth client
// added. It fails with CONNECTOR_CONFIG_INVALID if a value cannot be used.
func (r Runtime) WithApp(client Client) (Runtime, error) {
	if r.ofApp == nil {
		return r, nil
	}
	values := templateValues{"": r.ofApp.config, rootApp: client.values()}
	for _, at := range []struct {
		templates map[string]string
		to        *map[string]Secret
	}{{r.ofApp.auth.Headers, &r.Headers}, {r.ofApp.auth.Query, &r.Query}} {
		filled, wrong := expandAllWith(at.templates, values)
		if wrong != nil {
			return Runtime{}, r.ofApp.connector.unresolved(*wrong)
		}
		all := map[string]Secret{}
		maps.Copy(all, *at.to)
		maps.Copy(all, filled)
		*at.to = all
	}
	r.ofApp = nil
	return r, nil
}
