package ingress

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Why a delivery lies in quarantine. The last token of its subject.
const (
	quarantineSignature  = "signature"
	quarantineStale      = "stale"
	quarantineSchema     = "schema"
	quarantineUnroutable = "unroutable"
	quarantineDisabled   = "disabled"
)

// evidence is a refused delivery as it lies in quarantine: enough to find out
// what is wrong, nothing that gives anything away. What may be driven again
// later is kept whole, sealed.
type evidence struct {
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
	// ProviderAccounts are those that nobody had connected when an unroutable delivery
	// came: all of them, since a redrive is for no other. They are at most 1,000, and
	// what is kept is bounded together with them. A list shows the first 100.
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

// original is what a sealed delivery holds.
type original struct {
	Method string      `json:"method"`
	URL    string      `json:"url"`
	Header http.Header `json:"header"`
	Body   []byte      `json:"body"`
	At     time.Time   `json:"at"`
}

const (
	// maxKept is the largest body that is kept of a delivery that was verified, with
	// the accounts it is for: sealed and encoded twice, it still fits into a message.
	maxKept = 480 << 10
	// maxKeptUnverified is the same for what strangers may have sent.
	maxKeptUnverified = 64 << 10
	maxListed         = 100
)

// errNotKept is returned where a delivery that should be kept cannot be.
var errNotKept = errors.New("the delivery is too large to be kept")

// newEvidence describes a refused request. conn may be nil.
func newEvidence(id, reason string, code connectors.Code, connector, path string, conn *connection.Connection, r webhook.Request) *evidence {
	sum := sha256.Sum256(r.Body)
	e := &evidence{
		ID: id, At: r.Now.UTC(), Reason: reason, Code: code, Connector: connector, Method: r.Method, Path: path,
		HeaderNames: []string{}, BodyBytes: len(r.Body), BodySHA256: hex.EncodeToString(sum[:]),
	}
	for name := range r.Header {
		if len(name) <= 128 && len(e.HeaderNames) < maxListed {
			e.HeaderNames = append(e.HeaderNames, name)
		}
	}
	slices.Sort(e.HeaderNames)
	if conn != nil {
		e.Scope, e.Identity, e.Account, e.ConnectionID = conn.Scope, conn.Identity, conn.Account, conn.ID
	}
	return e
}

// evidence describes a refused delivery for a known connection.
func (d *delivery) evidence(reason string, code connectors.Code) *evidence {
	return newEvidence(d.id, reason, code, d.conn.Connector, d.path, d.conn, d.Request)
}

// evidenceOf reads what lies in quarantine. A request whose subject nobody could
// read lies there as it came; only where it was published and its size are told.
func (i *Ingress) evidenceOf(d *events.Delivery) (evidence, bool) {
	var e evidence
	if subject := d.Header[events.HeaderSubject]; len(subject) > 0 {
		sum := sha256.Sum256(d.Data)
		e = evidence{At: d.Stored.UTC(), Code: connectors.CodeConnectorActionInputInvalid, Path: subject[0],
			HeaderNames: []string{}, BodyBytes: len(d.Data), BodySHA256: hex.EncodeToString(sum[:])}
		// <prefix>.quarantine.<connector>.<reason>
		tokens := strings.Split(d.Subject, ".")
		if len(tokens) != 4 {
			return e, false
		}
		var err error
		e.Connector, err = events.ParseToken(tokens[2])
		e.Reason = tokens[3]
		return e, err == nil
	}
	return e, json.Unmarshal(d.Data, &e) == nil
}

func (e *evidence) about() events.About {
	return events.About{Tenant: events.Tenant{Scope: e.Scope, Identity: e.Identity}, Connector: e.Connector, Account: e.Account, ConnectionID: e.ConnectionID}
}

// keep seals the whole request into the evidence.
func (i *Ingress) keep(e *evidence, r webhook.Request, most int) error {
	size := len(r.Body)
	for _, account := range e.ProviderAccounts {
		size += len(account)
	}
	if size > most {
		return errNotKept
	}
	plain, err := json.Marshal(original{r.Method, r.PublicURL, r.Header, r.Body, r.Now})
	if err != nil {
		return err
	}
	if e.Sealed, err = i.Store.SealEvidence(e.ID, plain); err != nil {
		return err
	}
	e.Redrivable = true
	return nil
}

// park keeps a verified delivery that nobody can take now, and reports whether it was
// kept before. No refusal means that the stream has it: the provider may be told so.
func (i *Ingress) park(ctx context.Context, e *evidence, r webhook.Request, messageID string) (duplicate bool, refusal *connectors.Error) {
	err := i.keep(e, r, maxKept)
	if err == nil {
		duplicate, err = i.record(ctx, e, messageID)
	}
	if err != nil {
		i.log.Warn().Err(err).Str("connector", e.Connector).Str("reason", e.Reason).Msg("delivery not kept in quarantine")
		return false, storeError(err)
	}
	return duplicate, nil
}

// record stores evidence and waits for the stream's ack. Where messageID is not "", it
// tells the stream a repetition: of what was stored, and whose ack was lost.
func (i *Ingress) record(ctx context.Context, e *evidence, messageID string) (duplicate bool, err error) {
	doc, err := json.Marshal(e)
	if err != nil {
		return false, err
	}
	event := events.NewWithID(e.ID, "ingress", "hawser.webhook.quarantined", e.about(), doc)
	ack, err := i.Bus.Publish(ctx, i.Bus.Quarantine(e.Connector, e.Reason), event, &events.PublishOptions{MsgID: messageID})
	if err != nil {
		return false, err
	}
	if !ack.Duplicate {
		i.metrics.quarantined.WithLabelValues(e.Connector, e.Reason).Inc()
	}
	return ack.Duplicate, nil
}

// testify leaves evidence of a delivery that was refused to its sender's face. It is
// bounded in number and size, and leaves half of the stream to what was
// acknowledged. Whether it was stored changes nothing for the sender.
func (i *Ingress) testify(ctx context.Context, e *evidence, r webhook.Request, keep bool) {
	if !i.evidenceRate.Allow() || !i.roomForEvidence(ctx) {
		i.metrics.evidenceDropped.Inc()
		return
	}
	if keep {
		// What is too large is described only.
		_ = i.keep(e, r, maxKeptUnverified)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storePatience)
	defer cancel()
	if _, err := i.record(ctx, e, ""); err != nil {
		i.metrics.evidenceDropped.Inc()
		i.log.Warn().Err(err).Str("connector", e.Connector).Msg("evidence not stored")
	}
}

const roomEvery = 10 * time.Second

// roomForEvidence looks at the stream now and then: mere evidence may fill half of it.
func (i *Ingress) roomForEvidence(ctx context.Context) bool {
	now := time.Now().UnixNano()
	last := i.roomAsked.Load()
	if now-last < int64(roomEvery) || !i.roomAsked.CompareAndSwap(last, now) {
		return !i.full.Load()
	}
	state, err := i.Bus.State(ctx, events.Quarantine)
	i.full.Store(err != nil || state.MaxBytes > 0 && state.Bytes > state.MaxBytes/2)
	return !i.full.Load()
}

// quarantineReason sorts a rejection of the engine.
func quarantineReason(rejection *webhook.Rejection) string {
	if rejection != nil && (rejection.Reason == webhook.ReasonStale || rejection.Reason == webhook.ReasonFuture) {
		return quarantineStale
	}
	return quarantineSignature
}
