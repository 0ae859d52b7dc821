package catalog

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/manifest"
)

//go:embed connectors/*.yaml
var connectorFiles embed.FS

// Bases are the shipped connectors and webhook descriptors, for files that extend them.
var Bases manifest.Bases = shipped{}

type shipped struct{}

// Connector returns the YAML of a shipped connector.
func (shipped) Connector(key string) ([]byte, bool) {
	text, err := connectorFiles.ReadFile("connectors/" + key + ".yaml")
	return text, err == nil
}

// Webhook returns the YAML of a shipped webhook descriptor.
func (shipped) Webhook(name string) ([]byte, bool) {
	text, err := files.ReadFile("webhooks/" + name + ".yaml")
	return text, err == nil
}

// Keys returns the keys of the shipped connectors, sorted.
var Keys = sync.OnceValue(func() []string {
	names, err := fs.Glob(connectorFiles, "connectors/*.yaml")
	if err != nil {
		panic(fmt.Sprintf("catalog: %v", err))
	}
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = strings.TrimSuffix(path.Base(name), ".yaml")
	}
	slices.Sort(keys)
	return keys
})

// Connector returns a new copy of a shipped connector, bound to its handlers. An unknown
// key is CONNECTOR_NOT_FOUND.
func Connector(key string) (*connectors.Connector, error) {
	text, ok := shipped{}.Connector(key)
	if !ok {
		return nil, connectors.Errorf(connectors.CodeConnectorNotFound, "no connector %.64q ships with Hawser: 'hawser connectors list --shipped' prints those that do", key)
	}
	return manifest.Parse(key+".yaml", text, Bases)
}

// Select returns the shipped connectors that a choice names: "all", "none", or their keys,
// separated by commas.
func Select(choice string) ([]*connectors.Connector, error) {
	var keys []string
	switch choice {
	case "", "none":
	case "all":
		keys = Keys()
	default:
		for key := range strings.SplitSeq(choice, ",") {
			keys = append(keys, strings.TrimSpace(key))
		}
	}
	all := make([]*connectors.Connector, 0, len(keys))
	for _, key := range keys {
		c, err := Connector(key)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}
