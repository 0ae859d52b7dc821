package receive

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/events"
)

// The attributes of a provider's own CloudEvent stay readable, and are not taken for those of
// ours.
func TestAProvidersOwnEventAttributesAreKeptUnderAnotherName(t *testing.T) {
	t.Parallel()
	out := events.Header{}
	copyHeaders(out, http.Header{"Ce-Id": {"e1"}, "ce-type": {"order"}, "Nats-Msg-Id": {"x"}, "X-Kept": {"1"}}, nil, "")
	if diff := cmp.Diff(events.Header{"X-Ce-Id": {"e1"}, "X-Ce-Type": {"order"}, "X-Kept": {"1"}}, out); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestContentTypesHaveNoBlanks(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"application/json; charset=utf-8": "application/json;charset=utf-8", "Application/JSON ;  Charset=\"utf-8\"": "application/json;charset=utf-8",
		"": "application/octet-stream", "text/xml": "text/xml", `multipart/form-data; boundary="a b"`: `multipart/form-data;boundary="a b"`, "not a type;;": "not a type;;",
	} {
		if got := contentTypeOf(http.Header{"Content-Type": {in}}); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}
