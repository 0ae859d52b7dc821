package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/hawser-io/hawser/internal/records"
)

type appCommands struct {
	Set appSetCommand `cmd:"" help:"Set the OAuth client of a connector, or of a family of them."`
}

// appSetCommand sets an OAuth app in a running installation. Secrets come by file,
// by standard input or by the environment, never by an argument, where others on the
// machine could read them.
type appSetCommand struct {
	Connector  string            `arg:"" help:"The connector or family."`
	ClientID   string            `name:"client-id" required:"" help:"The client's id at the provider."`
	SecretFile string            `name:"client-secret-file" help:"File with the client's secrets, one a line, newest first (keys in PEM, with their certificates: an empty line between them); - is standard input. Default: HAWSER_CLIENT_SECRET." placeholder:"FILE"`
	Scope      []string          `help:"Scopes to ask for in place of the connector's." placeholder:"SCOPE"`
	Param      map[string]string `help:"Further parameters of the authorization request." placeholder:"NAME=VALUE"`
	ExtraFile  map[string]string `name:"extra-file" help:"Files with further keys of yours at the provider, by the names that the connector uses: a developer token, a private key." placeholder:"NAME=FILE"`
	apiClient
}

// Run sets the app; it takes effect at once.
func (c *appSetCommand) Run(ctx context.Context, p *program) error {
	secrets, err := c.secrets()
	if err != nil {
		return err
	}
	extra, err := c.extra()
	if err != nil {
		return err
	}
	body := struct { // the API refuses null
		ClientID string            `json:"client_id"`
		Secrets  []string          `json:"client_secrets,omitempty"`
		Scopes   []string          `json:"scopes,omitempty"`
		Params   map[string]string `json:"extra_params,omitempty"`
		Extra    map[string]string `json:"extra,omitempty"`
	}{c.ClientID, secrets, c.Scope, c.Param, extra}
	var answer struct {
		CallbackURLs []string `json:"callback_urls"`
	}
	if err := c.do(ctx, http.MethodPut, "/apps/"+url.PathEscape(c.Connector), body, &answer); err != nil {
		return fmt.Errorf("the app was not set: %w", err)
	}
	fmt.Fprintf(p.stdout, "app of %s is set: client %s, %d secrets\n", c.Connector, c.ClientID, len(secrets))
	for _, callback := range answer.CallbackURLs {
		fmt.Fprintf(p.stdout, "register this callback URL at the provider: %s\n", callback)
	}
	return nil
}

// extra reads the files of further keys.
func (c *appSetCommand) extra() (map[string]string, error) {
	keys := map[string]string{}
	for name, file := range c.ExtraFile {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the key %s: %w", name, err)
		}
		keys[name] = strings.TrimSpace(string(data))
	}
	return keys, nil
}

// secrets reads the client's secrets. Without a source there are none, as of a public
// client; a source that is empty is a mistake.
func (c *appSetCommand) secrets() ([]string, error) {
	var data []byte
	var err error
	source := c.SecretFile
	switch c.SecretFile {
	case "":
		text, given := os.LookupEnv("HAWSER_CLIENT_SECRET")
		if !given {
			return nil, nil
		}
		source, data = "HAWSER_CLIENT_SECRET", []byte(text)
	case "-":
		data, err = io.ReadAll(io.LimitReader(os.Stdin, 64<<10))
	default:
		data, err = os.ReadFile(c.SecretFile)
	}
	if err != nil {
		return nil, fmt.Errorf("read the client secret: %w", err)
	}
	secrets := records.SplitSecrets(string(data))
	if len(secrets) == 0 {
		return nil, fmt.Errorf("there is no client secret in %s: the app was not set", source)
	}
	return secrets, nil
}
