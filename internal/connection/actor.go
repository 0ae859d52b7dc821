package connection

import "context"

type actorKey struct{}

// WithActor says on whose behalf the work under ctx is done, for the events about
// it: the name of the API token, never the token.
func WithActor(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, actorKey{}, name)
}

// Actor is who was named by [WithActor], "" if nobody was.
func Actor(ctx context.Context) string {
	name, _ := ctx.Value(actorKey{}).(string)
	return name
}
