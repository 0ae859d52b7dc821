package receive

import (
	"net/http"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// Receipt says where an accepted delivery is.
type Receipt struct {
	ID          string `json:"id,omitempty"` // of the event or evidence; "" for a duplicate
	Duplicate   bool   `json:"duplicate,omitempty"`
	Quarantined bool   `json:"quarantined,omitempty"` // until an operator redrives it
}

// Headers of the answer to an accepted delivery, for people who read the provider's log
// of deliveries. They are no body: some providers take one for an instruction, or for a
// failure. The request's id is that of a new event, or of new evidence in quarantine.
const (
	duplicateHeader   = "Hawser-Duplicate"   // "true": it was stored before
	quarantinedHeader = "Hawser-Quarantined" // "true": stored in quarantine, for an operator
)

// outcome is how a call of a provider ended, for the metric. That of a refusal is its
// code.
type outcome string

const (
	outcomeAccepted  outcome = "accepted"
	outcomeDuplicate outcome = "duplicate"
	outcomeHandshake outcome = "handshake"
	outcomeOther     outcome = "other"
)

// answer answers an accepted delivery as the connector's descriptor says.
func answer(w http.ResponseWriter, as *webhooks.Answer, receipt Receipt) outcome {
	h, ended, status := w.Header(), outcomeAccepted, http.StatusAccepted
	if receipt.Quarantined {
		h[quarantinedHeader] = []string{"true"}
	}
	if receipt.Duplicate {
		h[duplicateHeader] = []string{"true"}
		ended, status = outcomeDuplicate, http.StatusOK
	}
	if as.Status != 0 {
		status = as.Status
	}
	if as.Body != "" {
		h["Content-Type"] = []string{as.ContentType}
		h["X-Content-Type-Options"] = []string{"nosniff"}
	}
	w.WriteHeader(status)
	if as.Body != "" {
		_, _ = w.Write([]byte(as.Body)) // a provider that has closed the connection sends it again
	}
	return ended
}
