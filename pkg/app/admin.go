package app

import (
	"context"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/events"
)

type keysCommands struct {
	Create keysCreateCommand `cmd:"" help:"Make a new keyset, for the roles of a NATS system of your own."`
}

type keysCreateCommand struct {
	File string `arg:"" help:"The new file." type:"path"`
}

// Run writes a new keyset. It replaces no file: records that are sealed with the old
// keyset could not be opened any more.
func (c *keysCreateCommand) Run(p *program) error {
	text, err := crypto.NewKeyset()
	if err != nil {
		return err
	}
	if err := crypto.SaveKeyset(c.File, text, nil); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stderr, "hawser: made %s; give it to every role, and keep it: without it no record can be opened\n", c.File)
	return err
}

type tokenCommands struct {
	Create tokenCreateCommand `cmd:"" help:"Make a token of the management API and print it."`
}

type tokenCreateCommand struct {
	Name      string `arg:"" help:"Name of the token, for events and logs."`
	NATSURL   string `name:"nats-url" help:"Addresses of the NATS system." default:"nats://127.0.0.1:4222"`
	NATSCreds string `name:"nats-creds" help:"File with the operator's credentials." type:"path" placeholder:"FILE"`
	Prefix    string `help:"First token of every subject." default:"hawser"`
	Replicas  int    `help:"Copies of the bucket of tokens. Default: as it is; of a new one 3 in a cluster, else 1."`
}

// Run makes a token and prints it. Only its hash is stored.
func (c *tokenCreateCommand) Run(ctx context.Context, p *program) error {
	nc, err := connect("hawser-token", remote{NATSURL: c.NATSURL, NATSCreds: c.NATSCreds}, zerolog.Nop())
	if err != nil {
		return err
	}
	defer nc.Close()
	bus, err := events.NewBus(nc.Conn, &events.Options{Prefix: c.Prefix})
	if err != nil {
		return err
	}
	buckets, err := openBuckets(ctx, bus, bucketOptions{replicas: c.Replicas, onChange: func(change string) {
		fmt.Fprintln(p.stderr, "hawser: changing "+change)
	}}, records.BucketAPITokens)
	if err != nil {
		return err
	}
	token := records.NewAPIToken()
	if err := records.NewAPITokens(buckets).Add(ctx, token, c.Name); err != nil {
		return err
	}
	_, err = fmt.Fprintln(p.stdout, token.Reveal())
	return err
}
