// Package demo is a provider to try Hawser with: an OAuth 2.1 authorization
// server, a small REST API and a webhook sender on loopback, and the
// connectors demo-key and demo-oauth for it.
//
// [Start] runs the provider; [Connectors] describes it to Hawser. The provider's state
// lies in one JSON file, which is written before an answer that depends on it, so it
// survives a kill. Codes and tokens are stored as hashes.
package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Options of a Provider. A zero field means its default.
type Options struct {
	Addr     string        // where to listen, on loopback only; default 127.0.0.1:8089, port 0 for a free one
	DataDir  string        // required: the state lies in DataDir/demo, which one Provider at a time may use
	TokenTTL time.Duration // how long access tokens live; default 1 h
	BaseURLs []string      // where Hawser can be reached besides loopback: redirect URIs and webhooks may go there
	Now      func() time.Time
	Log      zerolog.Logger // requests at debug level, without queries, bodies and credentials
}

// Provider is a running demo provider.
type Provider struct {
	url     string
	sender  *sender
	server  *http.Server
	abandon context.CancelFunc // ends the requests that a drain could not wait for
	served  chan error

	drain    sync.RWMutex // every request holds it for reading; Close takes it for good
	close    sync.Once
	closeErr error
}

// Start opens the state and begins to serve. ctx covers the start only: Close
// ends the provider.
func Start(ctx context.Context, opts Options) (*Provider, error) {
	if opts.DataDir == "" {
		return nil, errors.New("demo: DataDir is required")
	}
	if opts.Addr == "" {
		opts.Addr = "127.0.0.1:8089"
	}
	if opts.TokenTTL == 0 {
		opts.TokenTTL = time.Hour
	}
	if opts.TokenTTL < time.Second {
		return nil, fmt.Errorf("demo: token TTL %s: want a second or more", opts.TokenTTL)
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	reach, err := newReach(opts.BaseURLs)
	if err != nil {
		return nil, err
	}
	listener, err := listen(ctx, opts.Addr)
	if err != nil {
		return nil, err
	}
	store, err := openStore(filepath.Join(opts.DataDir, "demo"), opts.Now)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return serve(ctx, listener, store, reach, opts), nil
}

// listen refuses to be reachable from elsewhere: the client's secret and the
// fault switches are public knowledge.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("demo: address %q: %w", addr, err)
	}
	if !isLoopback(host) {
		return nil, fmt.Errorf("demo: address %q: the demo provider listens on loopback only", addr)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	return listener, nil
}

func serve(ctx context.Context, listener net.Listener, store *store, reach reach, opts Options) *Provider {
	lifetime, abandon := context.WithCancel(context.WithoutCancel(ctx))
	stopping := make(chan struct{})
	p := &Provider{
		url:    "http://" + listener.Addr().String(),
		sender: newSender(store, reach, opts.Now), abandon: abandon, served: make(chan error, 1),
	}
	callers := &authenticator{store: store, now: opts.Now}
	handler := routes(parts{
		authorization: &authorization{store: store, issuer: p.url, ttl: opts.TokenTTL, now: opts.Now, reach: reach, log: opts.Log},
		profile:       &profile{authenticator: callers, issuer: p.url},
		api:           &api{authenticator: callers, store: store},
		faults:        &faults{store: store, stopping: stopping},
		sender:        p.sender,
	})
	p.server = &http.Server{
		Handler: p.admit(guard(handler, opts.Log)),
		// No ReadTimeout: when it passes, net/http cancels slow requests too. Bodies have readWithin.
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      maxSlow + 30*time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		BaseContext:       func(net.Listener) context.Context { return lifetime },
		ErrorLog:          serverLog(opts.Log),
	}
	p.server.RegisterOnShutdown(func() { close(stopping) })
	go func() { p.served <- p.server.Serve(listener) }()
	return p
}

// URL returns the base URL, which is the OAuth issuer too, without a slash at the end.
func (p *Provider) URL() string { return p.url }

// Close stops taking requests, lets those in flight end until ctx does, cuts
// the rest off, and waits for all of it. Calling it again
// returns the first result.
func (p *Provider) Close(ctx context.Context) error {
	p.close.Do(func() {
		err := p.server.Shutdown(ctx)
		p.abandon()
		if err != nil {
			err = errors.Join(fmt.Errorf("demo: drain: %w", err), p.server.Close())
		}
		if served := <-p.served; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		p.drain.Lock()
		p.sender.http.CloseIdleConnections()
		p.closeErr = err
	})
	return p.closeErr
}

// admit keeps Close waiting while a request is in flight.
func (p *Provider) admit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !p.drain.TryRLock() {
			http.Error(w, "the demo provider is stopping", http.StatusServiceUnavailable)
			return
		}
		defer p.drain.RUnlock()
		next.ServeHTTP(w, r)
	})
}
