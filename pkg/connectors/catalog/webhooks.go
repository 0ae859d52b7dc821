// Package catalog is what ships with Hawser as data: how providers call us. Each file of
// the folder webhooks is the descriptor of one kind of webhook: its signature, its
// handshakes, and where a delivery's id, type and account are. A connector uses one, or
// starts from one:
//
//	hook, _ := catalog.Webhook("github")
//	hook.SecretField = "signingSecret"
//	connector.Webhook = &connectors.Webhook{Descriptor: hook}
//
// Each descriptor names the provider's page that it follows (source), and is tested with
// the provider's published examples, or with requests that the provider's own library or
// code signs or accepts: docs/webhooks.md says which. One with a part that could not be
// confirmed says so (unconfirmed).
package catalog

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

//go:embed webhooks/*.yaml
var files embed.FS

// Webhooks returns a new copy of every descriptor by its name. The secret is expected in
// the config field "webhookSecret", unless the provider signs with a secret of the app.
func Webhooks() map[string]webhooks.Descriptor {
	names, err := fs.Glob(files, "webhooks/*.yaml")
	if err != nil {
		panic(fmt.Sprintf("catalog: %v", err))
	}
	all := map[string]webhooks.Descriptor{}
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".yaml")
		all[name], _ = Webhook(name)
	}
	return all
}

// Webhook returns a new copy of one descriptor; false if there is none with the name.
func Webhook(name string) (webhooks.Descriptor, bool) {
	text, err := files.ReadFile("webhooks/" + name + ".yaml")
	if err != nil {
		return webhooks.Descriptor{}, false
	}
	var d webhooks.Descriptor
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&d); err != nil {
		panic(fmt.Sprintf("catalog: %s: %v", name, err))
	}
	return d, true
}
