package receive

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Why a delivery is in quarantine. The last token of its subject.
const (
	quarantineSignature  = "signature"
	quarantineStale      = "stale"
	quarantineSchema     = "schema"
	quarantineUnroutable = "unroutable"
	quarantineDisabled   = "disabled"
)

// Evidence describes a delivery in quarantine: enough to find out what is wrong,
// without secrets and payloads. A delivery that can be redriven is in it whole, sealed.
type Evidence struct {
	ID           string          `json:"id"`
	At           time.Time       `json:"at"`
	Reason       string          `json:"reason"`
	Detail       string          `json:"detail,omitempty"` // finer: which check failed
	Code         connectors.Code `json:"code"`
	Connector    string          `json:"connector"`
	Scope        string          `json:"scope,omitempty"`
	Identity     string          `json:"identity,omitempty"`
	Account      string          `json:"account,omitempty"`
	ConnectionID string          `json:"connection_id,omitempty"`
	// ProviderAccounts are those without a connection when an unroutable delivery
	// came: all of them, since a redrive is for no other. They are at most 1,000, and
	// the size of what is sealed is bounded together with them.
	ProviderAccounts []string `json:"provider_accounts,omitempty"`
	Method           string   `json:"method"`
	Path             string   `json:"path"`
	HeaderNames      []string `json:"header_names"`
	BodyBytes        int      `json:"body_bytes"`
	BodySHA256       string   `json:"body_sha256"`
	SkewMs           int64    `json:"skew_ms,omitempty"`
	Redrivable       bool     `json:"redrivable"`
	Sealed           string   `json:"sealed,omitempty"`
}

const (
	maxHeaderNames      = 100
	maxHeaderNameLength = 128
)

// evidence describes the delivery.
func (d *delivery) evidence(reason string, code connectors.Code) *Evidence {
	e := &Evidence{
		ID: d.id, At: d.Now.UTC(), Reason: reason, Code: code, Connector: d.def.Key, Method: d.Method, Path: d.path,
		HeaderNames: []string{}, BodyBytes: len(d.Body), BodySHA256: sha256Hex(d.Body),
	}
	for name := range d.Header {
		if len(name) <= maxHeaderNameLength && len(e.HeaderNames) < maxHeaderNames {
			e.HeaderNames = append(e.HeaderNames, name)
		}
	}
	slices.Sort(e.HeaderNames)
	if c := d.conn; c != nil {
		e.Scope, e.Identity, e.Account, e.ConnectionID = c.Scope, c.Identity, c.Account, c.ID
	}
	return e
}

// ParseEvidence reads a message of the quarantine; ok is false if it is malformed. An
// action request whose subject could not be parsed is there as it was published: the
// evidence has only its subject and its size.
func ParseEvidence(m *events.StoredMessage) (e Evidence, ok bool) {
	if subject := m.Header[queue.HeaderSubject]; len(subject) > 0 {
		e = Evidence{
			At: m.Stored.UTC(), Code: connectors.CodeConnectorActionInputInvalid, Path: subject[0],
			HeaderNames: []string{}, BodyBytes: len(m.Data), BodySHA256: sha256Hex(m.Data),
		}
		// <prefix>.quarantine.<connector>.<reason>
		tokens := strings.Split(m.Subject, ".")
		if len(tokens) != 4 {
			return e, false
		}
		var err error
		e.Connector, err = events.ParseToken(tokens[2])
		e.Reason = tokens[3]
		return e, err == nil
	}
	return e, json.Unmarshal(m.Data, &e) == nil
}

func sha256Hex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func (e *Evidence) about() events.EventContext {
	return events.EventContext{Tenant: events.Tenant{Scope: e.Scope, Identity: e.Identity}, Connector: e.Connector, Account: e.Account, ConnectionID: e.ConnectionID}
}

// original is a delivery as it is sealed into evidence.
type original struct {
	Method string      `json:"method"`
	URL    string      `json:"url"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
	At     time.Time   `json:"at"`
}
