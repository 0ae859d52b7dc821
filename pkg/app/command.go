package app

import (
	"context"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/embedded"
	"github.com/hawser-io/hawser/pkg/events"
)

// Version of this build.
const Version = "0.1.0"

// hawserCommands is the command line of `hawser`.
type hawserCommands struct {
	Up         upCommand          `cmd:"" help:"Run everything in one process on an embedded NATS server."`
	Demo       demoCommand        `cmd:"" help:"Play the whole story against a running 'hawser up --demo'."`
	Creds      credsCommands      `cmd:"" help:"Issue NATS credentials."`
	Keys       keysCommands       `cmd:"" help:"Make keysets."`
	Token      tokenCommands      `cmd:"" help:"Tokens of the management API."`
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

type credsCommands struct {
	Tenant tenantCommand `cmd:"" help:"Credentials with which a tenant's own programs publish its actions and read its results, events and webhooks."`
}

type tenantCommand struct {
	Scope    string `arg:"" help:"The kind of tenant, for example organization."`
	Identity string `arg:"" optional:"" help:"Its identity; empty where the scope is optional."`
	Data     string `help:"Data folder of 'hawser up'." default:"./hawser-data" type:"path"`
	Prefix   string `help:"First token of every subject." default:"hawser"`
	Scopes   string `help:"The kinds of tenants." default:"organization,user,system?"`
}

// Run prints the credentials; a running server accepts them at once.
func (c *tenantCommand) Run(_ context.Context, p *program) error {
	scopes, err := connection.ParseScopes(c.Scopes)
	if err != nil {
		return err
	}
	tenant := events.Tenant{Scope: c.Scope, Identity: c.Identity}
	if err := scopes.Check(tenant); err != nil {
		return err
	}
	creds, err := embedded.TenantCreds(c.Data, events.Token(tenant.Scope), events.Token(tenant.Identity), c.Prefix)
	if err != nil {
		return err
	}
	// To print this secret is the purpose of the command.
	_, err = fmt.Fprint(p.stdout, creds.Reveal())
	return err
}
