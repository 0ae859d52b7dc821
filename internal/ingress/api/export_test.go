package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
)

// ParseParams reads the parameters of an operation and writes them again.
func ParseParams(operation string, data []byte) ([]byte, error) {
	p, err := operationNamed(operation).parse(data)
	if err != nil {
		return nil, err
	}
	return json.Marshal(p)
}

// ReadQuery reads the parameters of a query string.
func ReadQuery(operation, raw string) error {
	return new(params).setQuery(operationNamed(operation), raw)
}

func operationNamed(name string) operation {
	for _, op := range operations(Parts{}) {
		if op.name == name {
			return op
		}
	}
	panic("no operation " + name)
}

// Identity is the identity that a path below the base path /api/v1 names, as the
// handlers read it; ok is false if the path is refused, or leads elsewhere.
func Identity(escaped string) (scope, identity string, ok bool) {
	base := BasePath("/api/v1")
	mux := http.NewServeMux()
	mux.HandleFunc(base.pattern("GET "+ofTenant), func(_ http.ResponseWriter, r *http.Request) {
		scope, identity, ok = r.PathValue("scope"), base.Identity(r), true
	})
	u, err := url.ParseRequestURI(escaped)
	if err != nil {
		return "", "", false
	}
	r := &http.Request{Method: "GET", URL: u, Host: "h", Header: http.Header{}}
	if base.Normalize(r) {
		mux.ServeHTTP(httptest.NewRecorder(), r)
	}
	return scope, identity, ok
}

// Access is the least role of each operation.
func Access() map[string]string {
	roles := map[string]string{}
	for name, rule := range access {
		roles[name] = string(rule.role)
	}
	return roles
}

// Operations are the names of those that are served by NATS.
func Operations() (names []string) {
	for _, op := range operations(Parts{}) {
		names = append(names, op.name)
	}
	return names
}
