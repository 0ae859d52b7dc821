package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

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
	URL        string            `name:"url" help:"Where Hawser serves HTTP." default:"http://127.0.0.1:8080"`
	BasePath   string            `help:"Path of the API." default:"/api/v1"`
	Data       string            `help:"Data folder of 'hawser up': the API token is read from there, unless HAWSER_TOKEN is set." default:"./hawser-data" type:"path"`
}

// Run sets the app; it takes effect at once.
func (c *appSetCommand) Run(ctx context.Context, p *program) error {
	secrets, err := c.secrets()
	if err != nil {
		return err
	}
	token := os.Getenv("HAWSER_TOKEN")
	if token == "" {
		data, err := os.ReadFile(dataFolder(c.Data).path("admin.token"))
		if err != nil {
			return fmt.Errorf("no API token in %s: set --data or HAWSER_TOKEN", c.Data)
		}
		token = strings.TrimSpace(string(data))
	}
	extra, err := c.extra()
	if err != nil {
		return err
	}
	body, err := json.Marshal(struct { // the API refuses null
		ClientID string            `json:"client_id"`
		Secrets  []string          `json:"client_secrets,omitempty"`
		Scopes   []string          `json:"scopes,omitempty"`
		Params   map[string]string `json:"extra_params,omitempty"`
		Extra    map[string]string `json:"extra,omitempty"`
	}{c.ClientID, secrets, c.Scope, c.Param, extra})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	to := strings.TrimSuffix(c.URL, "/") + c.BasePath + "/apps/" + url.PathEscape(c.Connector)
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, to, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("no answer at %s: is Hawser running?", c.URL)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return notSet(resp)
	}
	_, err = fmt.Fprintf(p.stdout, "app of %s is set: client %s, %d secrets\n", c.Connector, c.ClientID, len(secrets))
	return err
}

// notSet returns the error of the API, with all field errors.
func notSet(resp *http.Response) error {
	var problem struct {
		Code, Detail string
		Errors       []struct{ Path, Message string }
	}
	_ = json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&problem)
	text := fmt.Sprintf("the app was not set: %d %s %s", resp.StatusCode, problem.Code, problem.Detail)
	for _, e := range problem.Errors {
		text += "\n  " + e.Path + ": " + e.Message
	}
	return errors.New(text)
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

func (c *appSetCommand) secrets() ([]string, error) {
	var data []byte
	var err error
	switch c.SecretFile {
	case "":
		data = []byte(os.Getenv("HAWSER_CLIENT_SECRET"))
	case "-":
		data, err = io.ReadAll(io.LimitReader(os.Stdin, 64<<10))
	default:
		data, err = os.ReadFile(c.SecretFile)
	}
	if err != nil {
		return nil, fmt.Errorf("read the client secret: %w", err)
	}
	return records.SplitSecrets(string(data)), nil
}
