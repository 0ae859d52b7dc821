package ingress

import (
	"net/http"
	"strings"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// authenticated lets through who carries a valid bearer token, and names the token
// to what is done for it.
func (i *Ingress) authenticated(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > 512 {
			writeProblem(w, connectors.Errorf(connectors.CodeUnauthenticated, "an API token is needed, in the header Authorization after the word Bearer"))
			return
		}
		known, err := i.Tokens.Find(r.Context(), secret.New(strings.TrimSpace(token)))
		if err != nil {
			writeProblem(w, connectors.AsError(err))
			return
		}
		next(w, r.WithContext(connection.WithActor(r.Context(), known.Name)))
	}
}
