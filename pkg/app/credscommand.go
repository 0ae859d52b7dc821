package app

import (
	"context"
	"fmt"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/embedded"
	"github.com/hawser-io/hawser/pkg/events"
)

type credsCommands struct {
	Tenant tenantCommand `cmd:"" help:"Credentials with which a tenant's own programs publish its actions and read its results, events and webhooks."`
	Revoke revokeCommand `cmd:"" help:"End all NATS credentials of a tenant."`
	Role   roleCommand   `cmd:"" help:"Further credentials of a role, in a system made by 'hawser nats init'."`
}

// tenantArguments say whose credentials are meant, and in which folder its keys are.
type tenantArguments struct {
	Scope    string `arg:"" help:"The kind of tenant, for example organization."`
	Identity string `arg:"" optional:"" help:"Its identity; empty where the scope is optional."`
	Data     string `help:"Data folder of 'hawser up', or the folder that 'hawser nats init' made." default:"./hawser-data" type:"path"`
	Scopes   string `help:"The kinds of tenants." default:"organization,user,system?"`
	NATSURL  string `name:"nats-url" help:"Addresses of a system made by 'hawser nats init', whose servers learn of it at once. 'hawser up' needs none." placeholder:"URL"`
}

func (c *tenantArguments) tenant() (events.Tenant, error) {
	scopes, err := connection.ParseScopes(c.Scopes)
	if err != nil {
		return events.Tenant{}, err
	}
	tenant := events.Tenant{Scope: c.Scope, Identity: c.Identity}
	return tenant, scopes.Check(tenant)
}

type tenantCommand struct {
	tenantArguments
	Prefix string `help:"First token of every subject." default:"hawser"`
}

// Run prints the credentials. A running server of 'hawser up' accepts them at once; those of
// a system of one's own have to learn of them.
func (c *tenantCommand) Run(ctx context.Context, p *program) error {
	tenant, err := c.tenant()
	if err != nil {
		return err
	}
	creds, err := embedded.TenantCreds(c.Data, events.Token(tenant.Scope), events.Token(tenant.Identity), c.Prefix)
	if err != nil {
		return err
	}
	if c.NATSURL != "" {
		request, err := embedded.AddAccount(c.Data, creds)
		if err != nil {
			return err
		}
		if _, err := tellServers(ctx, c.Data, c.NATSURL, request); err != nil {
			return err
		}
	}
	// To print this secret is the purpose of the command.
	_, err = fmt.Fprint(p.stdout, creds.Reveal())
	return err
}

type revokeCommand struct{ tenantArguments }

// Run removes the accounts of the tenant's credentials.
func (c *revokeCommand) Run(ctx context.Context, p *program) error {
	tenant, err := c.tenant()
	if err != nil {
		return err
	}
	accounts, end, err := embedded.RevokeTenant(c.Data, events.Token(tenant.Scope), events.Token(tenant.Identity))
	if err != nil {
		return err
	}
	next := "restart 'hawser up' to end open connections"
	if c.NATSURL != "" && accounts > 0 {
		servers, err := tellServers(ctx, c.Data, c.NATSURL, end)
		if err != nil {
			return err
		}
		next = fmt.Sprintf("%d servers have ended their connections", servers)
	}
	_, err = fmt.Fprintf(p.stderr, "hawser: revoked %d credentials; %s\n", accounts, next)
	return err
}

type roleCommand struct {
	Name string `arg:"" help:"ingress, executor or refresher."`
	Data string `help:"The folder that 'hawser nats init' made." required:"" type:"path" placeholder:"DIR"`
}

// Run prints the credentials. The servers know the role already.
func (c *roleCommand) Run(p *program) error {
	creds, err := embedded.RoleCreds(c.Data, c.Name)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(p.stdout, creds.Reveal())
	return err
}
