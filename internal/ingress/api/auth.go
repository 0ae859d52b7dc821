package api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// maxTokenLength bounds the bearer tokens that are looked up.
const maxTokenLength = 512

// An unknown token costs a read of the store. Above this rate only tokens that were used
// lately are looked up, so that guesses do not slow down the others.
const (
	unknownTokensPerSecond = 50
	unknownTokensBurst     = 500
)

// authenticated calls next for requests with a valid bearer token. Their context
// has the token's name as actor.
func (a *API) authenticated(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxTokenLength {
			problem.Write(w, connectors.Errorf(connectors.CodeUnauthenticated, "an API token is needed, in the header Authorization after the word Bearer"))
			return
		}
		bearer := secret.New(strings.TrimSpace(token))
		if a.unknownTokens.Tokens() < 1 && !a.Tokens.IsCached(bearer) {
			problem.Write(w, problem.RateLimited("too many requests with API tokens that are not valid"))
			return
		}
		known, err := a.Tokens.Find(r.Context(), bearer)
		if errors.Is(err, &connectors.Error{Code: connectors.CodeUnauthenticated}) {
			a.unknownTokens.Allow()
		}
		if err != nil {
			problem.Write(w, err)
			return
		}
		next(w, r.WithContext(connection.WithActor(r.Context(), known.Name)))
	}
}
