package receive

import (
	"net/http"
	"slices"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// Receipt tells a delivery that is new from one that was here before.
type Receipt struct {
	ID        string `json:"id,omitempty"`
	Duplicate bool   `json:"duplicate,omitempty"`
	// Quarantined: kept, and not handed on before an operator drives it again.
	Quarantined bool `json:"quarantined,omitempty"`
}

// What a provider is told of a delivery that was taken stands in headers: some
// take a body for an instruction, or for a failure. They say to a person who looks
// at the provider's log of deliveries what became of it. The request's id is that of
// a new event, or of what is new in quarantine.
const (
	duplicateHeader   = "Hawser-Duplicate"   // "true": it was here already
	quarantinedHeader = "Hawser-Quarantined" // "true": kept for an operator
)

// outcome is how a call of a provider ended, for the metric. That of a refusal is
// its code.
type outcome string

const (
	outcomeAccepted  outcome = "accepted"
	outcomeDuplicate outcome = "duplicate"
	outcomeHandshake outcome = "handshake"
	outcomeOther     outcome = "other"
)

// answer tells the provider that its delivery is taken, or was before.
func answer(w http.ResponseWriter, as *webhooks.Answer, taken Receipt) outcome {
	h, ended, status := w.Header(), outcomeAccepted, http.StatusAccepted
	if taken.Quarantined {
		h[quarantinedHeader] = []string{"true"}
	}
	if taken.Duplicate {
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
		_, _ = w.Write([]byte(as.Body)) // the provider may be gone; it will try again
	}
	return ended
}

// combined is the receipt of a delivery for several connections: a duplicate if it is
// one for all of them. The provider does not learn how many they are.
func combined(receipts []Receipt) Receipt {
	if len(receipts) == 1 {
		return receipts[0]
	}
	return Receipt{
		Duplicate:   !slices.ContainsFunc(receipts, func(r Receipt) bool { return !r.Duplicate }),
		Quarantined: slices.ContainsFunc(receipts, func(r Receipt) bool { return r.Quarantined }),
	}
}
