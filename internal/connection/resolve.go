package connection

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// Runtime is a connection as a caller of the provider needs it: where, and with
// what headers and query parameters. It holds credentials in the clear, for the
// caller who asked for them; it never holds a refresh token or a client secret.
type Runtime struct {
	BaseURL string            `json:"base_url"`
	Headers map[string]string `json:"headers"`
	Query   map[string]string `json:"query,omitempty"`
	// ExpiresAt is when what is in it ends, if it does.
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
}

// Format prints the names of headers and parameters, whatever the verb: only JSON,
// for the caller, holds the values. Some providers want a credential in the path,
// so the base URL is not printed either.
func (r Runtime) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "headers=%v query=%v", slices.Sorted(maps.Keys(r.Headers)), slices.Sorted(maps.Keys(r.Query)))
}

// LogValue covers log/slog.
func (r Runtime) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(r)) }

// Resolve returns the runtime of a usable connection.
func (s *Service) Resolve(ctx context.Context, r records.Ref) (*Runtime, error) {
	def, err := s.names.connector(r)
	if err != nil {
		return nil, err
	}
	c, err := s.connections.Latest(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := c.Usable(); err != nil {
		return nil, err
	}
	config, err := s.connections.OpenConfig(c)
	if err != nil {
		return nil, err
	}
	resolved, err := def.Resolve(config)
	if err != nil {
		return nil, err
	}
	return &Runtime{BaseURL: resolved.BaseURL, Headers: revealed(resolved.Headers), Query: revealed(resolved.Query)}, nil
}

func revealed(secrets map[string]connectors.Secret) map[string]string {
	out := make(map[string]string, len(secrets))
	for name, s := range secrets {
		out[name] = s.Reveal()
	}
	return out
}
