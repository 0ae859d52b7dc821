package app

import (
	"fmt"
	"slices"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/catalog"
	"github.com/hawser-io/hawser/pkg/connectors/manifest"
)

// offer says which connectors a program adds to those that are stored, for every role to
// use. It never removes one: 'hawser connectors remove' does.
type offer struct {
	Connectors []string `help:"Folder, or file, with connector definitions." type:"path" placeholder:"DIR"`
	Catalogue  string   `help:"Shipped connectors to offer: all, none, or their keys, separated by commas." default:"none" placeholder:"KEYS"`
}

// load returns the connectors: a file replaces a shipped connector with its key.
func (o offer) load() ([]*connectors.Connector, error) {
	own, err := manifest.Load(o.Connectors, catalog.Bases)
	if err != nil {
		return nil, fmt.Errorf("--connectors:\n%w", err)
	}
	shipped, err := catalog.Select(o.Catalogue)
	if err != nil {
		return nil, fmt.Errorf("--catalogue: %w", err)
	}
	shipped = slices.DeleteFunc(shipped, func(c *connectors.Connector) bool {
		return slices.ContainsFunc(own, func(o *connectors.Connector) bool { return o.Key == c.Key })
	})
	return append(own, shipped...), nil
}
