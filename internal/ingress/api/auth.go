package api

import (
	"context"
	"errors"
	"strings"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/natsmicro"
	"github.com/hawser-io/hawser/internal/records"
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

// natsCaller is the caller of an operation over NATS without a token: whoever may publish
// on its subject in Hawser's account, which holds every stream and bucket (decision 15).
const natsCaller = "nats"

// identify returns the caller that a header Authorization names.
func (a *API) identify(ctx context.Context, authorization string) (caller, error) {
	scheme, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxTokenLength {
		return caller{}, connectors.Errorf(connectors.CodeUnauthenticated, "an API token is needed, in the header Authorization after the word Bearer")
	}
	bearer := secret.New(strings.TrimSpace(token))
	if a.unknownTokens.Tokens() < 1 && !a.Tokens.IsCached(bearer) {
		return caller{}, problem.RateLimited("too many requests with API tokens that are not valid")
	}
	known, err := a.Tokens.Find(ctx, bearer)
	if errors.Is(err, &connectors.Error{Code: connectors.CodeUnauthenticated}) {
		a.unknownTokens.Allow()
	}
	return callerWith(known, bearer), err
}

// identifyNATS returns the caller of a request over NATS. One that comes from another
// account, as far as the server says so, needs a token.
func (a *API) identifyNATS(ctx context.Context, ask natsmicro.Request) (caller, error) {
	authorization := ask.Header.Get("Authorization")
	if authorization == "" && ask.Header.Get("Nats-Request-Info") == "" {
		return caller{name: natsCaller, role: records.RoleAdmin}, nil
	}
	return a.identify(ctx, authorization)
}

// withCaller returns a context that has the caller, and its name as actor.
func withCaller(ctx context.Context, c caller) context.Context {
	return context.WithValue(connection.WithActor(ctx, c.name), callerKey{}, c)
}
