package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/catalog"
	"github.com/hawser-io/hawser/pkg/connectors/connectortest"
	"github.com/hawser-io/hawser/pkg/connectors/manifest"
)

type connectorsCommands struct {
	List    listCommand    `cmd:"" help:"The connectors of a running installation, or with --shipped those that ship with Hawser."`
	Show    showCommand    `cmd:"" help:"One connector: config, actions, webhook."`
	Lint    lintCommand    `cmd:"" help:"Check definition files: every mistake with its line."`
	Test    testCommand    `cmd:"" help:"Replay recorded answers of the provider to the actions of definition files: answers/<key>.yaml beside each file."`
	Apply   applyCommand   `cmd:"" help:"Add or replace definitions in a running installation; every role uses them at once."`
	Remove  removeCommand  `cmd:"" help:"Remove a definition."`
	Migrate migrateCommand `cmd:"" help:"Move connections to the current version of their connector."`
}

// listing is how a command prints what it lists.
type listing struct {
	Output string `help:"text or json." enum:"text,json" default:"text"`
}

// print writes v as JSON, or calls text with a table.
func (l listing) print(p *program, v any, text func(*tabwriter.Writer)) error {
	if l.Output == "json" {
		enc := json.NewEncoder(p.stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 8, 2, ' ', 0)
	text(w)
	return w.Flush()
}

type listCommand struct {
	apiClient
	listing
	Shipped bool `help:"List what ships with Hawser in place of what a running installation has."`
}

// connectorLine is one connector of a list.
type connectorLine struct {
	Key      string              `json:"key"`
	Version  string              `json:"version"`
	Type     connectors.AuthKind `json:"type"`
	Metadata connectors.Metadata `json:"metadata"`
}

// Run prints the connectors.
func (c *listCommand) Run(ctx context.Context, p *program) error {
	all := []connectorLine{}
	if c.Shipped {
		shipped, err := catalog.Select("all")
		if err != nil {
			return err
		}
		for _, s := range shipped {
			all = append(all, connectorLine{s.Key, s.Version, s.Auth.Kind, s.Metadata})
		}
	} else if err := c.do(ctx, http.MethodGet, "/connectors", nil, &all); err != nil {
		return err
	}
	return c.print(p, all, func(w *tabwriter.Writer) {
		for _, line := range all {
			note := ""
			if line.Metadata.Unverified != "" {
				note = "unverified"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", line.Key, line.Version, line.Type, line.Metadata.Name, note)
		}
	})
}

type showCommand struct {
	apiClient
	Key string `arg:"" help:"The connector."`
}

// Run prints the connector as JSON.
func (c *showCommand) Run(ctx context.Context, p *program) error {
	var connector json.RawMessage
	if err := c.do(ctx, http.MethodGet, "/connectors/"+url.PathEscape(c.Key), nil, &connector); err != nil {
		return err
	}
	return listing{Output: "json"}.print(p, connector, nil)
}

type lintCommand struct {
	listing
	Files []string `arg:"" help:"Files, or folders of *.yaml files." type:"path"`
}

// Run prints every mistake, or the connectors that the files make.
func (c *lintCommand) Run(p *program) error {
	all, err := manifest.Load(c.Files, catalog.Bases)
	if err != nil {
		return err
	}
	lines := make([]connectorLine, len(all))
	for i, connector := range all {
		lines[i] = connectorLine{connector.Key, connector.Version, connector.Auth.Kind, connector.Metadata}
	}
	return c.print(p, lines, func(w *tabwriter.Writer) {
		for _, connector := range all {
			fmt.Fprintf(w, "%s\t%s\t%d actions\n", connector.Key, connector.Version, len(connector.Actions))
		}
	})
}

type testCommand struct {
	Files []string `arg:"" help:"Files, or folders of *.yaml files." type:"path"`
}

// Run prints what differs from the recorded answers.
func (c *testCommand) Run(ctx context.Context, p *program) error {
	wrong := 0
	for _, path := range c.Files {
		all, err := manifest.Load([]string{path}, catalog.Bases)
		if err != nil {
			return err
		}
		folder := path
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			folder = filepath.Dir(path)
		}
		for _, connector := range all {
			recorded, err := os.ReadFile(filepath.Join(folder, "answers", connector.Key+".yaml"))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("read recorded answers: %w", err)
			}
			failures, err := connectortest.Check(ctx, connector, recorded)
			if err != nil {
				return fmt.Errorf("%s: %w", connector.Key, err)
			}
			outcome := "ok"
			if recorded == nil {
				outcome = "ok, without recorded answers"
			}
			if len(failures) > 0 {
				outcome = strings.Join(failures, "\n  ")
				wrong++
			}
			if _, err := fmt.Fprintf(p.stdout, "%s: %s\n", connector.Key, outcome); err != nil {
				return err
			}
		}
	}
	if wrong > 0 {
		return fmt.Errorf("%d connectors differ from their recorded answers", wrong)
	}
	return nil
}

type applyCommand struct {
	apiClient
	Files  []string `arg:"" help:"Files, or folders of *.yaml files." type:"path"`
	DryRun bool     `help:"Check everything and change nothing."`
}

// Run checks all files before it applies the first.
func (c *applyCommand) Run(ctx context.Context, p *program) error {
	all, err := manifest.Load(c.Files, catalog.Bases)
	if err != nil {
		return err
	}
	for _, dry := range []bool{true, false} {
		for _, connector := range all {
			definition, err := connector.Definition() // with what it extends
			if err != nil {
				return err
			}
			var applied struct{ Key, Version, Replaces string }
			body := map[string]any{"definition": string(definition), "dry_run": dry}
			if err := c.do(ctx, http.MethodPut, "/connectors/"+url.PathEscape(connector.Key), body, &applied); err != nil {
				return fmt.Errorf("%s: %w", connector.Key, err)
			}
			if dry != c.DryRun {
				continue
			}
			note := "new"
			if applied.Replaces != "" {
				note = "replaces " + applied.Replaces
			}
			if _, err := fmt.Fprintf(p.stdout, "%s %s (%s)\n", applied.Key, applied.Version, note); err != nil {
				return err
			}
		}
		if c.DryRun {
			return nil
		}
	}
	return nil
}

type removeCommand struct {
	apiClient
	Key string `arg:"" help:"The connector."`
}

// Run removes the definition.
func (c *removeCommand) Run(ctx context.Context, p *program) error {
	if err := c.do(ctx, http.MethodDelete, "/connectors/"+url.PathEscape(c.Key), nil, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintf(p.stdout, "%s is removed; its connections stay until they are disconnected\n", c.Key)
	return err
}

type migrateCommand struct {
	apiClient
	listing
	Key    string `arg:"" help:"The connector."`
	DryRun bool   `help:"Say what would be done and change nothing."`
}

// Run prints what became of each connection. Connections that keep their version make the
// exit status 1.
func (c *migrateCommand) Run(ctx context.Context, p *program) error {
	var result connection.Migrations
	if err := c.do(ctx, http.MethodPost, "/connectors/"+url.PathEscape(c.Key)+"/migrate", map[string]bool{"dry_run": c.DryRun}, &result); err != nil {
		return err
	}
	err := c.print(p, result, func(w *tabwriter.Writer) {
		for _, m := range result.Items {
			outcome := "moved"
			if c.DryRun {
				outcome = "would be moved"
			}
			if m.Code != "" {
				outcome = string(m.Code)
				for _, e := range m.Errors {
					outcome += "; " + e.Path + " " + e.Message
				}
			}
			fmt.Fprintf(w, "%s/%s/%s\t%s → %s\t%s\n", m.Scope, m.Identity, m.Account, m.From, m.To, outcome)
		}
		fmt.Fprintf(w, "%d moved, %d refused\n", result.Moved, result.Refused)
	})
	if err == nil && result.Refused > 0 {
		return fmt.Errorf("%d connections keep their version", result.Refused)
	}
	return err
}
