package app

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/events"
)

type tokenCommands struct {
	Create tokenCreateCommand `cmd:"" help:"Make a token of the management API and print it."`
	List   tokenListCommand   `cmd:"" help:"The tokens: role, tenant, expiry, last use."`
	Revoke tokenRevokeCommand `cmd:"" help:"End a token, in every process within a second."`
}

type tokenCreateCommand struct {
	apiClient
	listing
	Name     string `arg:"" help:"Name of the token, for events and logs."`
	Role     string `help:"admin, operator (change everything, see no secrets and payloads) or read." enum:"admin,operator,read" default:"admin"`
	Scope    string `help:"Bind the token to a tenant: the kind of tenant."`
	Identity string `help:"Bind the token to a tenant: its identity."`
	Expires  string `help:"When it ends, for example 90d or 12h from now. Default: never." placeholder:"TIME"`

	NATSURL   string `name:"nats-url" help:"Store the token in a NATS system of your own: the first one, before there is one to call the API with." placeholder:"URL"`
	NATSCreds string `name:"nats-creds" help:"File with the operator's credentials, with --nats-url." type:"path" placeholder:"FILE"`
	Prefix    string `help:"First token of every subject, with --nats-url." default:"hawser"`
	Replicas  int    `help:"Copies of the bucket of tokens, with --nats-url. Default: as it is; of a new one 3 in a cluster, else 1."`
}

// Run makes a token and prints it. Only its hash is stored.
func (c *tokenCreateCommand) Run(ctx context.Context, p *program) error {
	made := struct {
		Token string `json:"token"`
		records.APIToken
	}{APIToken: records.APIToken{Name: c.Name, Role: records.Role(c.Role), Scope: c.Scope, Identity: c.Identity, CreatedAt: time.Now().UTC()}}
	var err error
	if c.NATSURL != "" {
		made.Token, err = c.store(ctx, p, &made.APIToken)
	} else {
		err = c.do(ctx, http.MethodPost, "/tokens", map[string]string{
			"name": c.Name, "role": c.Role, "scope": c.Scope, "identity": c.Identity, "expires_in": c.Expires,
		}, &made)
	}
	if err != nil {
		return err
	}
	return c.print(p, made, func(w *tabwriter.Writer) { fmt.Fprintln(w, made.Token) })
}

// store stores a token without the API.
func (c *tokenCreateCommand) store(ctx context.Context, p *program, token *records.APIToken) (string, error) {
	nc, err := connect("hawser-token", remote{NATSURL: c.NATSURL, NATSCreds: c.NATSCreds}, zerolog.Nop())
	if err != nil {
		return "", err
	}
	defer nc.Close()
	bus, err := events.NewBus(nc.Conn, &events.Options{Prefix: c.Prefix})
	if err != nil {
		return "", err
	}
	var buckets records.Buckets
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err = start{zerolog.Nop(), nc.denied}.step(ctx, "open the bucket of tokens", func(ctx context.Context) error {
		buckets, err = openBuckets(ctx, bus, bucketOptions{replicas: c.Replicas, onChange: func(change string) {
			fmt.Fprintln(p.stderr, "hawser: changing "+change)
		}}, records.BucketAPITokens)
		return err
	})
	if err != nil {
		return "", err
	}
	if token.ExpiresAt, err = records.ParseExpiry(c.Expires); err != nil {
		return "", err
	}
	made, err := records.NewAPITokens(buckets).Create(ctx, *token)
	if err != nil {
		return "", err
	}
	return made.Reveal(), nil
}

type tokenListCommand struct {
	apiClient
	listing
}

// Run prints the tokens by name, on all pages.
func (c *tokenListCommand) Run(ctx context.Context, p *program) error {
	all := []records.ListedToken{}
	for cursor := ""; ; {
		var page struct {
			Items      []records.ListedToken `json:"items"`
			NextCursor string                `json:"next_cursor"`
		}
		if err := c.do(ctx, http.MethodGet, "/tokens?limit=200&cursor="+url.QueryEscape(cursor), nil, &page); err != nil {
			return err
		}
		all = append(all, page.Items...)
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	return c.print(p, all, func(w *tabwriter.Writer) {
		for _, t := range all {
			tenant := "every tenant"
			if t.Scope != "" {
				tenant = t.Scope + "/" + t.Identity
			}
			expiry := "expires " + day(t.ExpiresAt)
			if t.Expired {
				expiry = "expired " + day(t.ExpiresAt)
			}
			fmt.Fprintf(w, "%s\t%s\t%s\tused %s\t%s\n", t.Name, t.Role, tenant, day(t.LastUsedAt), expiry)
		}
	})
}

func day(at *time.Time) string {
	if at == nil {
		return "never"
	}
	return at.Format(time.RFC3339)
}

type tokenRevokeCommand struct {
	apiClient
	Name string `arg:"" help:"Name of the token."`
}

// Run revokes the token.
func (c *tokenRevokeCommand) Run(ctx context.Context, p *program) error {
	if err := c.do(ctx, http.MethodDelete, "/tokens/"+url.PathEscape(c.Name), nil, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "%s is revoked\n", c.Name)
	return err
}
