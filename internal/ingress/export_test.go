package ingress

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
)

// ParseParams reads the parameters of an operation and writes them again.
func ParseParams(operation string, data []byte) ([]byte, error) {
	for _, op := range operations() {
		if op.name == operation {
			p, err := op.parse(data)
			if err != nil {
				return nil, err
			}
			return json.Marshal(p)
		}
	}
	panic("no operation " + operation)
}

// ReadQuery reads the parameters of a query string.
func ReadQuery(operation, raw string) error {
	for _, op := range operations() {
		if op.name == operation {
			return new(params).readQuery(op, raw)
		}
	}
	panic("no operation " + operation)
}

// Identity is the identity that a path below the base path /api/v1 names, as the
// handlers read it; ok is false if the path is refused, or leads elsewhere.
func Identity(escaped string) (scope, identity string, ok bool) {
	i := &Ingress{opts: Options{BasePath: DefaultBasePath}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+DefaultBasePath+ofTenant, func(_ http.ResponseWriter, r *http.Request) {
		scope, identity, ok = r.PathValue("scope"), i.identityOf(r), true
	})
	u, err := url.ParseRequestURI(escaped)
	if err != nil {
		return "", "", false
	}
	r := &http.Request{Method: "GET", URL: u, Host: "h", Header: http.Header{}}
	if i.refit(r) {
		mux.ServeHTTP(discard{}, r)
	}
	return scope, identity, ok
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// Patience is what deliveries are given that begin at different times.
type Patience struct{ deadlines }

// From returns the context of a delivery that begins now.
func (p *Patience) From(ctx context.Context) context.Context {
	return &bounded{context.WithoutCancel(ctx), p.now()}
}

// StorePatience and Sharing bound it.
const (
	StorePatience = storePatience
	Sharing       = sharing
)
