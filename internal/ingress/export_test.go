package ingress

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
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

// Known reports whether a delivery that was stored is known right after, to a memory
// with that horizon.
func Known(horizon time.Duration) bool {
	memory := newRecent(horizon)
	store := func() (bool, *connectors.Error) { return false, nil }
	_, _ = memory.once(context.Background(), "delivery", store)
	known, _ := memory.once(context.Background(), "delivery", store)
	return known
}

// MaxRecent bounds what a process remembers.
const MaxRecent = maxRecent

// Remembered stores so many deliveries, one after the other, and returns how many a
// process holds then, and whether it knows the one that was stored so many before the
// last.
func Remembered(stored, before int) (held int, known bool) {
	memory := newRecent(time.Hour)
	store := func() (bool, *connectors.Error) { return false, nil }
	for n := range stored {
		_, _ = memory.once(context.Background(), strconv.Itoa(n), store)
	}
	held = len(memory.young) + len(memory.old)
	known, _ = memory.once(context.Background(), strconv.Itoa(stored-1-before), store)
	return held, known
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
