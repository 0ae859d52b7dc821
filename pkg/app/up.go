package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/demo"
	"github.com/hawser-io/hawser/internal/embedded"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// upCommand is `hawser up`.
type upCommand struct {
	shared
	HTTP         string        `name:"http" help:"Address of the HTTP server." default:"127.0.0.1:8080"`
	NATS         string        `name:"nats" help:"Address of the embedded NATS server; off: in-process only." default:"127.0.0.1:4222"`
	Data         string        `help:"Folder that keeps everything." default:"./hawser-data" type:"path"`
	Connectors   string        `help:"Folder with connector definitions; not read yet, so setting it is an error." type:"path" placeholder:"DIR"`
	Sync         string        `help:"always: on disk before it is acknowledged; or an interval such as 100ms, whose last moments a power loss takes." default:"always"`
	Demo         bool          `help:"Add a demo provider, with connectors demo-key and demo-oauth."`
	DemoAddr     string        `help:"Address of the demo provider." default:"127.0.0.1:8089"`
	DemoTokenTTL time.Duration `name:"demo-token-ttl" help:"Lifetime of the demo provider's access tokens." default:"1h"`
}

// Run starts the embedded server and all roles, and returns after the drain.
func (c *upCommand) Run(ctx context.Context, p *program) (err error) {
	if c.Connectors != "" {
		return errors.New("--connectors: definitions in files are not read by this version; build an executor with your connector instead, see examples/go-connector")
	}
	if err := c.check(); err != nil {
		return err
	}
	log := c.logger(p)
	server, err := embedded.Start(ctx, embedded.Options{DataDir: c.Data, Listen: c.NATS, Sync: c.Sync, Prefix: c.Prefix, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shutdown(ctx, server.Shutdown)) }()
	listener, err := net.Listen("tcp", c.HTTP)
	if err != nil {
		return fmt.Errorf("listen on --http %s: %w", c.HTTP, err)
	}
	own, extra := p.own, ""
	if c.Demo {
		provider, err := c.startDemo(ctx, baseURL(c.shared, listener), log)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		defer func() { err = errors.Join(err, shutdown(ctx, provider.Close)) }()
		own = append(own[:len(own):len(own)], demo.Connectors(provider.URL())...)
		extra = ", demo provider at " + provider.URL()
	}
	return c.serve(ctx, p, server, listener, log, own, extra)
}

// serve assembles the node on the embedded server and plays all roles. extra is
// said at the end of the ready line.
func (c *upCommand) serve(ctx context.Context, p *program, server *embedded.Server, listener net.Listener, log zerolog.Logger, own []connectors.Connector, extra string) error {
	folder := dataFolder(c.Data)
	keys, isNew, err := folder.keyset(c.Prefix)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	token, err := folder.adminToken()
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	nc, err := server.Connect(append(events.ConnectOptions("hawser"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn().Err(err).Msg("NATS") }))...)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer nc.Close()
	n, err := newNode(ctx, "ingress", c.shared, baseURL(c.shared, listener), nc, keys, log, own)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if err := n.tokens.Add(ctx, token, "admin"); err != nil {
		return errors.Join(err, listener.Close())
	}
	if c.Demo {
		if err := n.seedDemoApp(ctx); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	if isNew {
		fmt.Fprintf(p.stderr, "hawser: made %s, %s and %s; keep the keyset: without it no record can be opened\n",
			folder.path("keyset.json"), folder.path("admin.token"), server.CredsPath())
	}
	return n.play(ctx, listener, roles{true, true, true}, func() {
		address := server.URL()
		if address == "" {
			address = "in process only"
		}
		fmt.Fprintf(p.stderr, "hawser is ready: http at http://%s, nats at %s%s\n", listener.Addr(), address, extra)
	})
}

// seedDemoApp makes the demo provider's client known, unless the operator has set
// one of his own.
func (n *node) seedDemoApp(ctx context.Context) error {
	const name = "demo-oauth"
	_, found, err := n.apps.Named(ctx, name)
	if err != nil || found {
		return err
	}
	return n.apps.Set(ctx, name, records.App{ClientID: demo.ClientID, ClientSecrets: []secret.Text{secret.New(demo.ClientSecret)}})
}

// startDemo starts the demo provider, and lets executors reach it: it lies on
// loopback, where providers may not lie otherwise.
func (c *upCommand) startDemo(ctx context.Context, base string, log zerolog.Logger) (*demo.Provider, error) {
	provider, err := demo.Start(ctx, demo.Options{
		Addr: c.DemoAddr, DataDir: c.Data, TokenTTL: c.DemoTokenTTL, BaseURLs: []string{base}, Log: log,
	})
	if err != nil {
		return nil, err
	}
	if network, ok := loopbackOf(provider.URL()); ok {
		c.AllowNetworks = append(c.AllowNetworks, network)
	}
	return provider, nil
}

// shutdown stops something with a deadline of its own: ctx is over by then.
func shutdown(ctx context.Context, stop func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return stop(ctx)
}
