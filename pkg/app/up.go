package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/demo"
	"github.com/hawser-io/hawser/internal/embedded"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// upCommand is `hawser up`.
type upCommand struct {
	shared
	offer
	HTTP         string        `name:"http" help:"Address of the HTTP server." default:"127.0.0.1:8080"`
	NATS         string        `name:"nats" help:"Address of the embedded NATS server; off: in-process only." default:"127.0.0.1:4222"`
	Data         string        `help:"Folder for all data." default:"./hawser-data" type:"path"`
	Sync         string        `help:"always: a write is on disk before it is acknowledged; or an interval such as 100ms: a power loss can lose that much." default:"always"`
	Demo         bool          `help:"Add a demo provider, with connectors demo-key and demo-oauth."`
	DemoAddr     string        `help:"Address of the demo provider." default:"127.0.0.1:8089"`
	DemoTokenTTL time.Duration `name:"demo-token-ttl" help:"Lifetime of the demo provider's access tokens." default:"1h"`
}

// Run starts the embedded server and all roles, and returns after the drain.
func (c *upCommand) Run(ctx context.Context, p *program) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	offered, err := c.load()
	if err != nil {
		return err
	}
	log := c.logger(p)
	server, err := embedded.Start(ctx, embedded.Options{DataDir: c.Data, Listen: c.NATS, Sync: c.Sync, Prefix: c.Prefix, Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shutdown(ctx, server.Shutdown)) }()
	stats, err := server.Stats()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.HTTP)
	if err != nil {
		return fmt.Errorf("listen on --http %s: %w", c.HTTP, err)
	}
	defer func() { _ = listener.Close() }()
	o := nodeOptions{
		role: "ingress", baseURL: baseURL(c.shared, listener), log: log, connectors: p.own, groupCommit: c.Sync == "always",
		storeBytes: stats.StoreLimit, servesAPI: true, storeFailure: server.StoreFailure, restart: server.Restart,
	}
	http := "http://" + listener.Addr().String()
	ready := "http at " + http + ", nats at " + cmp.Or(server.URL(), "in process only")
	if c.Demo {
		provider, err := c.startDemo(ctx, o.baseURL, log)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, shutdown(ctx, provider.Close)) }()
		o.connectors = slices.Concat(p.own, demo.Connectors(provider.URL()))
		ready += ", demo provider at " + provider.URL()
	}
	ready += " (console at " + http + "/console/ with the token in " + dataFolder(c.Data).path("admin.token") + ")"
	o.settings = c.shared
	if o.nc, err = server.Connect(append(events.ConnectOptions("hawser"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn().Err(err).Msg("NATS") }))...); err != nil {
		return err
	}
	defer o.nc.Close()
	n, made, err := c.open(ctx, o)
	if err != nil {
		return err
	}
	if err := n.definitions.Publish(ctx, offered); err != nil {
		return err
	}
	if made {
		folder := dataFolder(c.Data)
		fmt.Fprintf(p.stderr, "hawser: made %s, %s and %s; keep the keyset: without it no record can be opened\n",
			folder.path("keyset.json"), folder.path("admin.token"), server.CredsPath())
	}
	return n.run(ctx, listener, roles{true, true, true}, func() { fmt.Fprintf(p.stderr, "hawser is ready: %s\n", ready) })
}

// open makes the node with the keys and the admin token of the data folder. made says
// that there was no keyset before.
func (c *upCommand) open(ctx context.Context, o nodeOptions) (n *node, made bool, err error) {
	folder := dataFolder(c.Data)
	if o.keys, made, err = folder.keyset(c.Prefix); err != nil {
		return nil, made, err
	}
	token, err := folder.adminToken()
	if err != nil {
		return nil, made, err
	}
	if n, err = newNode(ctx, o); err != nil {
		return nil, made, err
	}
	err = n.start.step(ctx, "store the admin token", func(ctx context.Context) error { return n.tokens.Add(ctx, token, "admin") })
	if err != nil {
		return nil, made, err
	}
	if c.Demo {
		err = n.seedDemoApp(ctx)
	}
	return n, made, err
}

// seedDemoApp stores the demo provider's OAuth client, unless the operator has set one.
func (n *node) seedDemoApp(ctx context.Context) error {
	const name = "demo-oauth"
	_, found, err := n.apps.Named(ctx, name)
	if err != nil || found {
		return err
	}
	return n.apps.Set(ctx, name, records.App{ClientID: demo.ClientID, ClientSecrets: []secret.Text{secret.New(demo.ClientSecret)}})
}

// startDemo starts the demo provider and allows its address: providers on loopback are
// refused otherwise.
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

// shutdown calls stop with a deadline of its own, since ctx has ended by then.
func shutdown(ctx context.Context, stop func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return stop(ctx)
}
