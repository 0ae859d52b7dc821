package app

import (
	"fmt"

	"github.com/hawser-io/hawser/pkg/connectors/catalog"
	"github.com/hawser-io/hawser/pkg/connectors/manifest"
)

type connectorsCommands struct {
	Lint lintCommand `cmd:"" help:"Check definition files: every mistake with its line."`
}

type lintCommand struct {
	Files []string `arg:"" help:"Files, or folders of *.yaml files." type:"path"`
}

// Run prints every mistake, or the connectors that the files make.
func (c *lintCommand) Run(p *program) error {
	all, err := manifest.Load(c.Files, catalog.Bases)
	if err != nil {
		return err
	}
	for _, connector := range all {
		if _, err := fmt.Fprintf(p.stdout, "%s %s: %d actions\n", connector.Key, connector.Version, len(connector.Actions)); err != nil {
			return err
		}
	}
	return nil
}
