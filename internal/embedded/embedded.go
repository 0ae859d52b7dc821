// Package embedded runs the NATS JetStream server that lives inside
// `hawser up`, and makes the keys and credentials that open it.
//
// One data folder holds everything:
//
//	hawser.lock        held while a server runs on the folder; the holder's pid
//	nats.creds         0600  the operator's credentials: all rights in Hawser's account
//	nats/keys.json     0600  the seeds: operator, system account, Hawser's account
//	nats/accounts/     0700  one signed account claim (JWT) per account, tenants' too
//	jetstream/         the streams and buckets
//
// The server trusts one operator key, made at first start, and refuses every
// connection without credentials, in process or over TCP. Hawser has one NATS account;
// every tenant credential has a NATS account of its own, which imports exactly
// what that tenant may do: see docs/decisions/0002.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"
)

// Options are the settings of the server. The zero value of every field but
// DataDir means its default.
type Options struct {
	// DataDir is the data folder. It is made, 0700, if it does not exist.
	DataDir string
	// Listen is the TCP address for clients: "host:port", port 0 for a free
	// one, "off" for none (in-process connections only). Default
	// "127.0.0.1:4222".
	Listen string
	// Sync is "always" (default: every message is on the disk before it is
	// acknowledged), or the interval between syncs, such as "100ms": a power
	// loss loses what was acknowledged in the last interval; the end of the
	// process loses nothing.
	Sync string
	// Prefix is the first token of every subject, at most 32 of a-z 0-9 _ -.
	// Default "hawser". Credentials of tenants work for the prefix they were made for.
	Prefix string
	// MaxStore bounds what JetStream keeps on the disk, in bytes; what does not
	// fit is refused (503), never dropped. Default: three quarters of what is
	// free on the disk and what JetStream keeps there already.
	MaxStore int64
	// MaxPayload bounds one message, in bytes. Default 1 MiB, at most 8 MiB.
	MaxPayload int32
	// Log receives the server's warnings and errors. The zero Logger is silent.
	Log zerolog.Logger
}

// Server is a running embedded server. Safe for concurrent use.
type Server struct {
	start func(context.Context, settings) (*server.Server, *serverLog, error)
	set   settings // with the port that the first start has chosen
	creds string
	user  userCreds
	lock  *fileLock

	mu   sync.RWMutex
	nats *server.Server // replaced by Restart; guarded by mu
	log  *serverLog     // of nats; guarded by mu

	stop    sync.Once
	stopped chan struct{} // closed when the server is down and the folder unlocked
	stopErr error         // set before stopped is closed
}

// Start takes the data folder's lock, makes or reads the keys, starts the
// server and returns when it accepts connections and has recovered its streams.
// When ctx ends, a start in progress is aborted; a running server is stopped by
// [Server.Shutdown] only.
//
// Nothing is written before the lock is held. A file that cannot be read is
// never deleted or overwritten: Start fails with an error that names the file
// and says what to do.
func Start(ctx context.Context, opts Options) (*Server, error) {
	set, err := opts.settings()
	if err != nil {
		return nil, err
	}
	lock, err := lockFolder(opts.DataDir)
	if err != nil {
		return nil, err
	}
	s, err := startLocked(ctx, opts, set, lock)
	if err != nil {
		return nil, errors.Join(err, lock.release())
	}
	return s, nil
}

func startLocked(ctx context.Context, opts Options, set settings, lock *fileLock) (*Server, error) {
	dir := folder(opts.DataDir)
	ring, err := dir.openKeys()
	if err != nil {
		return nil, err
	}
	if len(ring.roles) > 0 {
		return nil, fmt.Errorf("%s holds the keys of a NATS system of its own, made by `hawser nats init`: give another data folder", opts.DataDir)
	}
	if err := dir.writeAccounts(ring, set.prefix); err != nil {
		return nil, err
	}
	if err := dir.ensureOperatorCreds(ring); err != nil {
		return nil, err
	}
	user, err := ring.newOperatorUser("hawser process")
	if err != nil {
		return nil, err
	}
	s := &Server{
		start: func(ctx context.Context, set settings) (*server.Server, *serverLog, error) {
			return run(ctx, opts, set, dir, ring)
		},
		creds: dir.credsPath(), user: user, lock: lock, stopped: make(chan struct{}),
	}
	if s.nats, s.log, err = s.start(ctx, set); err != nil {
		if set.listen && strings.Contains(err.Error(), syscall.EADDRINUSE.Error()) { // the server's error is text alone
			return nil, fmt.Errorf("the address --nats %s is in use: stop what listens there, or set --nats to another address, or off", net.JoinHostPort(set.host, strconv.Itoa(set.port)))
		}
		return nil, fmt.Errorf("start the embedded NATS server: %w", err)
	}
	s.set = set
	if set.listen {
		s.set.port = s.address().Port
	}
	if set.listen && !s.address().IP.IsLoopback() {
		opts.Log.Warn().Str("part", "nats").Str("address", s.address().String()).
			Msg("NATS listens beyond loopback without TLS: credentials are not sent in the clear, messages are")
	}
	return s, nil
}

// run starts the server and waits until it is ready or has failed.
func run(ctx context.Context, opts Options, set settings, dir folder, ring *keys) (*server.Server, *serverLog, error) {
	if set.maxStore == 0 {
		limit, err := storeLimit(dir)
		if err != nil {
			return nil, nil, err
		}
		set.maxStore = limit
	}
	so, err := set.serverOptions(dir, ring)
	if err != nil {
		return nil, nil, err
	}
	ns, err := server.NewServer(so)
	if err != nil {
		so.AccountResolver.Close()
		return nil, nil, err
	}
	log := &serverLog{to: opts.Log}
	ns.SetLoggerV2(log, false, false, false)
	started := make(chan struct{})
	go func() {
		defer close(started)
		ns.Start() // recovers the streams: may take seconds
	}()
	select {
	case <-started:
	case <-ctx.Done():
		<-started // a server in the middle of its start cannot be shut down
		stopAndWait(ns)
		return nil, nil, context.Cause(ctx)
	}
	if err := checkStarted(ns, log, ring); err != nil {
		stopAndWait(ns)
		return nil, nil, err
	}
	return ns, log, nil
}

// checkStarted returns the failure of a start, which the server itself only logs.
func checkStarted(ns *server.Server, log *serverLog, ring *keys) error {
	if err := log.fatal(); err != nil {
		return err
	}
	if !ns.ReadyForConnections(readyTimeout) {
		return errors.Join(fmt.Errorf("not ready after %v", readyTimeout), log.fatal())
	}
	acc, err := ns.LookupAccount(ring.hawser.public)
	if err != nil {
		return fmt.Errorf("look up Hawser's account: %w", err)
	}
	if !acc.JetStreamEnabled() {
		return errors.New("JetStream is not enabled for Hawser's account")
	}
	return nil
}

// readyTimeout bounds the last step of a start, after the streams have been recovered.
const readyTimeout = 30 * time.Second

func stopAndWait(ns *server.Server) {
	ns.Shutdown()
	ns.WaitForShutdown()
}

func (s *Server) current() *server.Server {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.nats
}

// Connect opens an in-process connection with all rights in Hawser's account.
// It reconnects for ever; the caller closes it. Options given here come after
// Connect's own.
func (s *Server) Connect(opts ...nats.Option) (*nats.Conn, error) {
	own := []nats.Option{nats.InProcessServer(s), s.user.option(), nats.MaxReconnects(-1), nats.Timeout(handshakeTimeout)}
	nc, err := nats.Connect("", append(own, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to the embedded NATS server: %w", err)
	}
	return nc, nil
}

// InProcessConn implements nats.InProcessConnProvider: a raw connection that
// still has to authenticate.
func (s *Server) InProcessConn() (net.Conn, error) { return s.current().InProcessConn() }

// URL is the address for clients on this machine, "nats://127.0.0.1:4222", with
// the real port; empty if the server does not listen.
func (s *Server) URL() string {
	if !s.set.listen {
		return ""
	}
	addr := s.address()
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "127.0.0.1" // a client cannot connect to an unspecified address
	}
	return "nats://" + net.JoinHostPort(host, strconv.Itoa(addr.Port))
}

func (s *Server) address() *net.TCPAddr { return s.current().Addr().(*net.TCPAddr) }

// CredsPath is the file with the operator's credentials: all rights in
// Hawser's account.
func (s *Server) CredsPath() string { return s.creds }

// Shutdown stops the server, waits until it is down, and releases the folder's
// lock. Connections are closed, not drained: drain them first. When ctx ends
// earlier, its error is returned and the shutdown continues. It may be called
// any number of times; each call waits.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop.Do(func() {
		go func() {
			defer close(s.stopped)
			stopAndWait(s.current())
			s.stopErr = s.lock.release()
		}()
	})
	select {
	case <-s.stopped:
		return s.stopErr
	case <-ctx.Done():
		return fmt.Errorf("shut down the embedded NATS server: %w", context.Cause(ctx))
	}
}
