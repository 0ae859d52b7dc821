package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

const (
	// startTimeout bounds the way from a connection to a ready node. It covers the
	// elections after a NATS server's death.
	startTimeout = time.Minute
	// A request that a dying server swallowed is never answered, so each try has a
	// deadline of its own: the first, doubled each time up to the longest.
	firstTry, longestTry = 2 * time.Second, 8 * time.Second
)

// start runs steps of the start. Each step can be repeated.
type start struct {
	log    zerolog.Logger
	denied func() error // what the server has refused for want of permission, nil if nothing
}

// step calls do until it succeeds, fails for a reason that no repetition helps, or ctx ends.
func (s start) step(ctx context.Context, name string, do func(context.Context) error) error {
	for limit := firstTry; ; limit = min(2*limit, longestTry) {
		try, cancel := context.WithTimeout(ctx, limit)
		err := do(try)
		expired := try.Err() != nil
		cancel()
		switch {
		case err == nil:
			return nil
		case s.denied() != nil:
			return fmt.Errorf("%s: the NATS credentials do not allow it: %w; it takes the role's own from 'hawser nats init', where the ingress starts first and makes the streams, or all permissions in the account that holds the streams, as nats.creds in the data folder of 'hawser up' has them; a tenant's are not enough", name, s.denied())
		case ctx.Err() != nil || !expired && !temporary(err):
			return err
		}
		s.log.Warn().Err(err).Str("step", name).Msg("the start waits for NATS")
		select {
		case <-ctx.Done():
			return err
		case <-time.After(limit / 4):
		}
	}
}

// temporary reports whether a repetition of the request may succeed.
func temporary(err error) bool {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		const noSuitablePeers = 10005 // servers may be about to come back
		off := api.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabled || api.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabledForAccount
		return api.Code == 503 && !off || api.ErrorCode == noSuitablePeers
	}
	if e, ok := errors.AsType[*connectors.Error](err); ok && e.Code == connectors.CodeConnectorDatabaseFailed {
		return true
	}
	return errors.Is(err, events.ErrUnavailable) || errors.Is(err, kvstore.ErrUnavailable) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders)
}
