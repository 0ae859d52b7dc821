package catalog_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/connectors/catalog"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

func TestEveryDescriptorIsValid(t *testing.T) {
	t.Parallel()
	for name, w := range catalog.Webhooks() {
		if err := w.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if w.Source == "" {
			t.Errorf("%s: no source", name)
		}
	}
}

func TestEveryDescriptorIsTheSameAfterJSON(t *testing.T) {
	t.Parallel()
	for name, want := range catalog.Webhooks() {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got webhooks.Descriptor
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: after a round trip through %s (-want +got):\n%s", name, text, diff)
		}
	}
}
