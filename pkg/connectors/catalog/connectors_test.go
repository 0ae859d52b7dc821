package catalog_test

import (
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/catalog"
)

// A tenant must be able to read what a connector is, and an operator what to do and what
// nobody has checked.
func TestEveryConnectorIsValidAndDescribed(t *testing.T) {
	t.Parallel()
	all, err := catalog.Select("all")
	if err != nil {
		t.Fatal(err)
	}
	registry := connectors.NewRegistry()
	for _, c := range all {
		if err := registry.Register(*c); err != nil {
			t.Errorf("%s: %v", c.Key, err)
		}
		m := c.Metadata
		if m.Name == "" || m.Description == "" || len(m.Categories) == 0 || m.DocsURL == "" || len(m.Sources) == 0 {
			t.Errorf("%s: metadata lack a name, a description, a category, a docs_url or a source: %+v", c.Key, m)
		}
		client := c.Auth.OAuth2 != nil && c.Auth.OAuth2.ClientID == ""
		if client && !strings.Contains(strings.Join(m.Setup, "\n"), "{callback_url}") {
			t.Errorf("%s: the setup does not tell the operator where to enter {callback_url}", c.Key)
		}
	}
}
