package ingress_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestFailuresOfOurOwnEmitErrorOccurred(t *testing.T) {
	t.Parallel()
	s := serve(t)
	path := s.connect(t, "probe")
	key := "organization.ava=40example=2Ecom.probe.default"
	entry, err := s.Buckets.Connections.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	// A sealed field cannot be opened in the place of another.
	var record struct {
		Config struct{ APIKey, WebhookSecret string }
	}
	if err := json.Unmarshal(entry.Value, &record); err != nil || record.Config.APIKey == "" {
		t.Fatalf("%s: %v", entry.Value, err)
	}
	swapped := strings.NewReplacer(record.Config.APIKey, record.Config.WebhookSecret, record.Config.WebhookSecret, record.Config.APIKey).Replace(string(entry.Value))
	if _, err := s.Buckets.Connections.Update(t.Context(), key, []byte(swapped), entry.Revision); err != nil {
		t.Fatal(err)
	}
	heard := s.Listen(t, "hawser.event.>")
	if r := s.do(t, "POST", ofAva+"/ghost/resolve", ""); r.status != http.StatusNotFound { // not ours
		t.Errorf("%d %s", r.status, r.body)
	}
	testenv.Eventually(t, "the changed record is read", func() bool {
		return s.do(t, "POST", ofAva+"/probe/resolve", "").status == http.StatusInternalServerError
	})
	e := heard.Event(t)
	var data events.Data
	if err := json.Unmarshal(e.Data(), &data); err != nil {
		t.Fatal(err)
	}
	if e.Type() != "hawser.error.occurred" || data.ErrorCode != "CONNECTOR_DECRYPT_FAILED" || data.Operation != "connections.resolve" || e.Subject() != "organization/ava@example.com/probe" {
		t.Errorf("got %s of %s: %s", e.Type(), e.Subject(), e.Data())
	}
	if r := s.deliverOnce(t, path, "d1", "{}"); r.status != http.StatusInternalServerError || r.code() != "CONNECTOR_DECRYPT_FAILED" {
		t.Errorf("a delivery: %d %s", r.status, r.body)
	}
	e = heard.Event(t)
	if err := json.Unmarshal(e.Data(), &data); err != nil || e.Type() != "hawser.error.occurred" || data.Operation != "webhook" {
		t.Errorf("the delivery emitted %s: %s", e.Type(), e.Data())
	}
}
