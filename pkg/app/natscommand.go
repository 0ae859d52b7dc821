package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	config "github.com/hawser-io/hawser/deployments/nats"
	"github.com/hawser-io/hawser/internal/embedded"
	"github.com/hawser-io/hawser/pkg/events"
)

type natsCommands struct {
	Init natsInitCommand `cmd:"" help:"Make operator, accounts, credentials of the roles, and the configuration of the servers."`
	Push natsPushCommand `cmd:"" help:"Give the roles the permissions that this version needs, and tell the servers of all accounts."`
}

type natsInitCommand struct {
	Dir    string `arg:"" help:"The new folder." type:"path"`
	Prefix string `help:"First token of every subject." default:"hawser"`
}

// Run makes the folder. It replaces no keys: streams belong to the account of the old ones.
func (c *natsInitCommand) Run(p *program) error {
	subjects, err := events.NewSubjects(c.Prefix)
	if err != nil {
		return fmt.Errorf("--prefix: not a subject prefix: %w", err)
	}
	err = embedded.InitSystem(c.Dir, c.Prefix, roleUsers(subjects))
	if errors.Is(err, embedded.ErrSystemExists) {
		return fmt.Errorf("%s: %w; give a new folder", c.Dir, err)
	}
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "nats.conf"), config.ServerConfig, 0o600); err != nil {
		return fmt.Errorf("write the configuration of the servers: %w", err)
	}
	_, err = fmt.Fprintf(p.stderr, "hawser: made %s: nats.conf and auth.conf are for every NATS server, ingress.creds, executor.creds and refresher.creds for the roles; "+
		"keep the rest, above all nats/keys.json, where neither runs\n", c.Dir)
	return err
}

type natsPushCommand struct {
	Data    string `help:"The folder that 'hawser nats init' made." required:"" type:"path" placeholder:"DIR"`
	NATSURL string `name:"nats-url" help:"Addresses of the NATS system." default:"nats://127.0.0.1:4222"`
	Prefix  string `help:"First token of every subject." default:"hawser"`
}

// Run tells the servers of all accounts. It is the first step of an upgrade.
func (c *natsPushCommand) Run(ctx context.Context, p *program) error {
	subjects, err := events.NewSubjects(c.Prefix)
	if err != nil {
		return fmt.Errorf("--prefix: not a subject prefix: %w", err)
	}
	if err := embedded.UpdateSystem(c.Data, c.Prefix, roleUsers(subjects)); err != nil {
		return err
	}
	requests, err := embedded.AddAccounts(c.Data)
	if err != nil {
		return err
	}
	servers, err := tellServers(ctx, c.Data, c.NATSURL, requests...)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stderr, "hawser: %d servers have %d accounts\n", servers, len(requests))
	return err
}

const (
	// firstReply and furtherReply bound the wait for the servers: their number is not known.
	firstReply, furtherReply = 10 * time.Second, 500 * time.Millisecond
)

// tellServers sends requests about accounts to all servers of a system, and returns how many
// have answered the last one.
func tellServers(ctx context.Context, dir, url string, requests ...embedded.Request) (servers int, err error) {
	nc, err := connect("hawser-accounts", remote{NATSURL: url, NATSCreds: embedded.SystemCreds(dir)}, zerolog.Nop())
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	for _, request := range requests {
		if servers, err = tellOnce(ctx, nc.Conn, request); err != nil {
			return 0, fmt.Errorf("tell the NATS servers of an account: %w", err)
		}
	}
	return servers, nil
}

func tellOnce(ctx context.Context, nc *nats.Conn, request embedded.Request) (servers int, err error) {
	replies, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		return 0, err
	}
	defer func() { _ = replies.Unsubscribe() }()
	if err := nc.PublishRequest(request.Subject, replies.Subject, request.Data); err != nil {
		return 0, err
	}
	for wait := firstReply; ; wait = furtherReply {
		next, cancel := context.WithTimeout(ctx, wait)
		msg, err := replies.NextMsgWithContext(next)
		cancel()
		if err != nil && servers > 0 && ctx.Err() == nil {
			return servers, nil
		}
		if err != nil {
			return servers, err
		}
		var reply struct {
			Error *struct{ Description string } `json:"error"`
		}
		if err := json.Unmarshal(msg.Data, &reply); err != nil {
			return servers, fmt.Errorf("the reply of a server: %w", err)
		}
		if reply.Error != nil {
			return servers, fmt.Errorf("a server refused: %s", reply.Error.Description)
		}
		servers++
	}
}
