package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// demoCommand is `hawser demo`: it plays the whole story against a running
// `hawser up --demo`, from outside, with HTTP and a NATS client, and prints what
// it saw at each step.
type demoCommand struct {
	URL      string        `name:"url" help:"Where 'hawser up' serves HTTP." default:"http://127.0.0.1:8080"`
	NATSURL  string        `name:"nats-url" help:"Where it serves NATS." default:"nats://127.0.0.1:4222"`
	Provider string        `help:"Where the demo provider listens." default:"http://127.0.0.1:8089"`
	Data     string        `help:"Its data folder: the token and the credentials are read from there." default:"./hawser-data" type:"path"`
	BasePath string        `help:"Path of the API." default:"/api/v1"`
	Timeout  time.Duration `help:"Of the whole story." default:"60s"`
}

// story is one run: who plays it, and what the steps leave for each other.
type story struct {
	command    *demoCommand
	out        io.Writer
	token      secret.Text
	nc         *nats.Conn
	bus        *events.Bus
	tenant     events.Tenant
	webhookURL secret.Text
	seen       *nats.Subscription // everything the tenant may see
}

type step struct {
	name string
	play func(*story, context.Context) (saw string, err error)
}

// Run plays the steps in order. A step that fails ends the story with an error.
func (c *demoCommand) Run(ctx context.Context, p *program) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	s, err := c.begin(ctx, p.stdout)
	if err != nil {
		return err
	}
	defer s.nc.Close()
	for i, step := range storySteps() {
		saw, err := step.play(s, ctx)
		if err != nil {
			fmt.Fprintf(s.out, "%2d. %-28s FAILED\n", i+1, step.name)
			return fmt.Errorf("%s: %w", step.name, err)
		}
		fmt.Fprintf(s.out, "%2d. %-28s %s\n", i+1, step.name, saw)
	}
	return nil
}

func (c *demoCommand) begin(ctx context.Context, out io.Writer) (*story, error) {
	folder := dataFolder(c.Data)
	token, err := os.ReadFile(folder.path("admin.token"))
	if err != nil {
		return nil, fmt.Errorf("no admin token in %s: start 'hawser up --demo' first, or set --data", c.Data)
	}
	nc, err := nats.Connect(c.NATSURL, nats.Name("hawser-demo"), nats.UserCredentials(folder.path("nats.creds")), nats.Timeout(5*time.Second))
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w; is 'hawser up --demo' running?", redactURLs(c.NATSURL), redactError(err))
	}
	bus, err := events.NewBus(nc, nil)
	if err != nil {
		return nil, err
	}
	s := &story{command: c, out: out, token: secret.New(strings.TrimSpace(string(token))), nc: nc, bus: bus,
		// A tenant of its own, so that the story can be played again and again.
		tenant: events.Tenant{Scope: "organization", Identity: "demo-" + events.NewID()}}
	if s.seen, err = nc.SubscribeSync("hawser.*." + s.tenant.Tokens() + ".>"); err != nil {
		return nil, err
	}
	return s, nc.FlushWithContext(ctx)
}

// await returns the next message of a kind whose subject holds part.
func (s *story) await(ctx context.Context, kind, part string) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		msg, err := s.seen.NextMsgWithContext(ctx)
		if err != nil {
			return nil, fmt.Errorf("nothing on hawser.%s.%s….%s within 10 s", kind, s.tenant.Tokens(), part)
		}
		if strings.HasPrefix(msg.Subject, "hawser."+kind+".") && strings.Contains(msg.Subject, part) {
			return msg, nil
		}
	}
}

var errUnexpected = errors.New("unexpected answer")
