package catalog_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/connectors/catalog"
	"github.com/hawser-io/hawser/pkg/connectors/connectortest"
)

func TestActionsSendAndReadWhatProvidersDocument(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/answers/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		key := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			connector, err := catalog.Connector(key)
			if err != nil {
				t.Fatal(err)
			}
			connectortest.Run(t, *connector, file)
		})
	}
}
