package webhooks_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/catalog/webhooks"
)

func TestEveryDescriptorPassesItsCheck(t *testing.T) {
	t.Parallel()
	for name, w := range webhooks.All() {
		if err := w.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if w.Source == "" {
			t.Errorf("%s: no source", name)
		}
	}
}

func TestEveryDescriptorSurvivesJSON(t *testing.T) {
	t.Parallel()
	for name, want := range webhooks.All() {
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got connectors.Webhook
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: after a round trip through %s (-want +got):\n%s", name, text, diff)
		}
	}
}
