package app

import (
	"fmt"

	"github.com/alecthomas/kong"
)

// Version of this build.
const Version = "0.1.0"

// hawserCommands is the command line of `hawser`.
type hawserCommands struct {
	Up         upCommand          `cmd:"" help:"Run everything in one process on an embedded NATS server."`
	Demo       demoCommand        `cmd:"" help:"Play the whole story against a running 'hawser up --demo'."`
	Creds      credsCommands      `cmd:"" help:"Issue NATS credentials."`
	NATS       natsCommands       `cmd:"" name:"nats" help:"NATS systems of your own."`
	Keys       keysCommands       `cmd:"" help:"Make keysets."`
	Token      tokenCommands      `cmd:"" help:"Tokens of the management API."`
	Audit      auditCommands      `cmd:"" help:"The audit trail: who did what."`
	App        appCommands        `cmd:"" help:"OAuth clients at providers."`
	Connectors connectorsCommands `cmd:"" help:"Definitions of connectors."`
	Version    versionCommand     `cmd:"" help:"Print the version."`
	Help       helpCommand        `cmd:"" help:"Print this help."`
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(p *program) error {
	_, err := fmt.Fprintln(p.stdout, "hawser "+Version)
	return err
}

type helpCommand struct{}

// Run prints the help of the whole program.
func (helpCommand) Run(k *kong.Kong) error {
	c, err := kong.Trace(k, nil)
	if err != nil {
		return err
	}
	return c.PrintUsage(false)
}
