package records

import (
	"context"
	"time"

	"github.com/hawser-io/hawser/pkg/secret"
)

// FlowLife is how long a started authorisation may take.
const FlowLife = 10 * time.Minute

// flowRetention is how long a flow's record is stored: longer than [FlowLife], so that a
// late or repeated callback can be distinguished from a forged one and reported.
const flowRetention = 20 * time.Minute

// Flow is a pending OAuth authorisation. Its secrets are envelopes.
type Flow struct {
	Scope     string            `json:"scope"`
	Identity  string            `json:"identity"`
	Connector string            `json:"connector"`
	Account   string            `json:"account"`
	Replace   bool              `json:"replace,omitempty"`
	Reconnect string            `json:"reconnect,omitempty"` // id of the connection that it renews
	Tags      map[string]string `json:"tags,omitempty"`
	Scopes    []string          `json:"scopes"`
	Redirect  string            `json:"redirect_uri"`
	ReturnURL string            `json:"return_url,omitempty"`
	Session   string            `json:"session,omitempty"` // the connect session that it belongs to
	// Config and Verifier (of PKCE) are envelopes.
	Config   string `json:"config,omitempty"`
	Verifier string `json:"verifier,omitempty"`
	// Browser is the SHA-256 of the cookie, in hex, once a browser has opened it.
	Browser   string    `json:"browser,omitempty"`
	ExpiresAt time.Time `json:"expires_at"`
	// Used marks a flow that a callback has consumed: only its reference, its browser and then
	// its outcome are left.
	Used    bool         `json:"used,omitempty"`
	Outcome *FlowOutcome `json:"outcome,omitempty"`
	Sealed  []string     `json:"sealed"`

	key      string
	revision uint64
}

// FlowOutcome is how a flow succeeded, for a browser that asks again.
type FlowOutcome struct {
	Status    string `json:"status"`
	ReturnURL string `json:"return_url,omitempty"`
}

// FlowSecrets are the sealed fields of a flow.
type FlowSecrets struct{ Config, Verifier secret.Text }

// Key returns the key of the record.
func (f *Flow) Key() string { return f.key }

// Ref names the connection that the flow is for.
func (f *Flow) Ref() Ref {
	r := Ref{Connector: f.Connector, Account: f.Account}
	r.Scope, r.Identity = f.Scope, f.Identity
	return r
}

// Flows reads and writes flows. Safe for concurrent use.
type Flows struct {
	documents
	sealer *Sealer
}

// NewFlows returns the flows of buckets.
func NewFlows(buckets Buckets, sealer *Sealer) *Flows {
	return &Flows{documents{buckets.Flows, "flow"}, sealer}
}

// Create stores a new flow under key.
func (f *Flows) Create(ctx context.Context, key string, flow *Flow, s FlowSecrets) (err error) {
	flow.key, flow.Sealed = key, []string{"/config", "/verifier"}
	if flow.Config, err = f.sealer.sealText(f.sealer.binding(bucketFlows, key), "/config", s.Config); err != nil {
		return err
	}
	if flow.Verifier, err = f.sealer.sealText(f.sealer.binding(bucketFlows, key), "/verifier", s.Verifier); err != nil {
		return err
	}
	flow.revision, err = f.create(ctx, key, flow)
	return err
}

// Latest reads a flow from the leader. [ErrNotFound] if there is none.
func (f *Flows) Latest(ctx context.Context, key string) (*Flow, error) {
	flow := &Flow{key: key}
	var err error
	if flow.revision, err = f.latest(ctx, key, flow); err != nil {
		return nil, err
	}
	return flow, nil
}

// Save updates the flow over the revision that it was read at. [ErrConflict] if it was changed since.
func (f *Flows) Save(ctx context.Context, flow *Flow) error {
	revision, err := f.save(ctx, flow.key, flow, flow.revision)
	if err == nil {
		flow.revision = revision
	}
	return err
}

// Consume marks the flow as used, by revision: of several callbacks only one gets nil, the others [ErrConflict].
// Everything but its reference and its browser is removed from the record.
func (f *Flows) Consume(ctx context.Context, flow *Flow) error {
	used := &Flow{
		Scope: flow.Scope, Identity: flow.Identity, Connector: flow.Connector, Account: flow.Account,
		Browser: flow.Browser, ExpiresAt: flow.ExpiresAt, Used: true, key: flow.key, revision: flow.revision,
	}
	return f.Save(ctx, used)
}

// Open returns the flow's secrets.
func (f *Flows) Open(flow *Flow) (s FlowSecrets, err error) {
	if s.Config, err = f.sealer.openText(f.sealer.binding(bucketFlows, flow.key), "/config", flow.Config); err != nil {
		return s, err
	}
	s.Verifier, err = f.sealer.openText(f.sealer.binding(bucketFlows, flow.key), "/verifier", flow.Verifier)
	return s, err
}
