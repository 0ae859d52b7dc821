package app

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/pkg/events"
)

// natsConnection is a connection to a NATS system, and what that has refused.
type natsConnection struct {
	*nats.Conn
	refusal atomic.Pointer[error]
}

// denied returns the first thing that the server refused for want of permission, or nil.
func (c *natsConnection) denied() error {
	if refusal := c.refusal.Load(); refusal != nil {
		return *refusal
	}
	return nil
}

// onError logs errors that no call returns.
func (c *natsConnection) onError(log zerolog.Logger) nats.ErrHandler {
	return func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			c.refusal.CompareAndSwap(nil, &err)
		}
		log.Warn().Err(err).Msg("NATS")
	}
}

// redactURLs returns NATS addresses without user, password and token. What is no URL is
// not shown at all, since nobody knows which part of it is a password.
func redactURLs(addresses string) string {
	var out []string
	for address := range strings.SplitSeq(addresses, ",") {
		address = strings.TrimSpace(address)
		if !strings.Contains(address, "://") {
			address = "nats://" + address
		}
		shown := "[not a URL]"
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			shown = u.Scheme + "://" + u.Host
		}
		out = append(out, shown)
	}
	return strings.Join(out, ",")
}

// redactError returns err without the text of a URL.
func redactError(err error) error {
	if _, ok := errors.AsType[*url.Error](err); ok {
		return errors.New("an address is not a URL such as nats://nats.example.com:4222; a password in it has to be percent-encoded")
	}
	return err
}

// checkNATSURLs refuses addresses of other protocols, which would only time out.
func checkNATSURLs(addresses string) error {
	for address := range strings.SplitSeq(addresses, ",") {
		scheme, _, found := strings.Cut(strings.TrimSpace(address), "://")
		if found && !slices.Contains([]string{"nats", "tls", "ws", "wss"}, strings.ToLower(scheme)) {
			return fmt.Errorf("--nats-url %s: this is not the address of a NATS server: write nats://HOST:4222 (or tls://, ws://, wss://)", redactURLs(address))
		}
	}
	return nil
}

// connect joins a NATS system.
func connect(name string, r remote, log zerolog.Logger) (*natsConnection, error) {
	if err := checkNATSURLs(r.NATSURL); err != nil {
		return nil, err
	}
	c := &natsConnection{}
	options := append(events.ConnectOptions(name),
		// Replies to one role need not be readable by the others: see rolePermissions.
		nats.CustomInboxPrefix(inboxOf(name)),
		nats.RetryOnFailedConnect(false),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { log.Warn().Err(err).Msg("disconnected from NATS") }),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info().Msg("connected to NATS again") }),
		nats.ErrorHandler(c.onError(log)))
	if r.NATSCreds != "" {
		options = append(options, nats.UserCredentials(r.NATSCreds))
	}
	var err error
	c.Conn, err = nats.Connect(r.NATSURL, options...)
	if errors.Is(err, nats.ErrNoServers) {
		return nil, fmt.Errorf("no NATS server answers at %s: start one, or set --nats-url", redactURLs(r.NATSURL))
	}
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w", redactURLs(r.NATSURL), redactError(err))
	}
	return c, nil
}
