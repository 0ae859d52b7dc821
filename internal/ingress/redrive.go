package ingress

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// operatorRoutes are what operators look at and do about deliveries.
func (i *Ingress) operatorRoutes(mux *http.ServeMux) {
	handle := func(pattern string, answer func(http.ResponseWriter, *http.Request) (any, error)) {
		mux.HandleFunc(below(pattern, i.opts.BasePath), i.authenticated(func(w http.ResponseWriter, r *http.Request) {
			reply, err := answer(w, r)
			if err != nil {
				writeError(w, err)
				return
			}
			writeJSON(w, http.StatusOK, jsonType, reply)
		}))
	}
	handle("POST "+onConnection+"/replay", i.replaySpan)
	for pattern, answer := range map[string]func(*http.Request) (any, error){
		"POST /webhooks/{id}/replay":      i.replayOne,
		"GET /quarantine":                 i.listQuarantine,
		"POST /quarantine/{id}/redrive":   i.redriveQuarantine,
		"GET /dead-letters":               i.listDeadLetters,
		"POST /dead-letters/{id}/redrive": i.redriveDeadLetter,
	} {
		handle(pattern, func(_ http.ResponseWriter, r *http.Request) (any, error) { return answer(r) })
	}
}

// filed evidence carries the id by which it is redriven, its place in the stream,
// and that of the request, which was answered with it.
type quarantined struct {
	evidence
	ID        string `json:"id"`
	RequestID string `json:"request_id,omitempty"`
}

func (i *Ingress) listQuarantine(r *http.Request) (any, error) {
	q := r.URL.Query()
	filter := i.Bus.Prefix() + ".quarantine." + token(r, "connector") + "." + token(r, "reason")
	return readPage(r.Context(), i, r, events.Quarantine, filter, "connector reason scope identity connection", func(d *events.Delivery) (quarantined, bool) {
		item := quarantined{ID: strconv.FormatUint(d.Sequence, 10)}
		var ok bool
		if item.evidence, ok = i.evidenceOf(d); !ok {
			return item, false
		}
		item.RequestID, item.Sealed, item.ProviderAccounts = item.evidence.ID, "", item.ProviderAccounts[:min(len(item.ProviderAccounts), maxListed)]
		same := func(name, value string) bool { return q.Get(name) == "" || q.Get(name) == value }
		return item, same("scope", item.Scope) && same("identity", item.Identity) && same("connection", item.ConnectionID)
	})
}

// redriveQuarantine takes a delivery through verification again, as of the time
// it came, with the secrets of now, and stores it. It leaves the quarantine then.
// Asking twice, or again after a crash in between, stores it once: what has no
// delivery id of its own is identified by its evidence.
func (i *Ingress) redriveQuarantine(r *http.Request) (any, error) {
	d, err := i.filed(r, events.Quarantine, "delivery in quarantine")
	if err != nil {
		return nil, err
	}
	e, ok := i.evidenceOf(d)
	if !ok {
		return nil, connectors.Errorf(connectors.CodeInternal, "the evidence cannot be read")
	}
	if !e.Redrivable {
		return nil, connectors.Errorf(connectors.CodeConnectorWebhookValidationFailed, "the body of this delivery was not kept, so it cannot be driven again")
	}
	request, err := i.reopen(e)
	if err != nil {
		return nil, err
	}
	ctx, cancel := i.patient(r.Context(), request.Body)
	defer cancel()
	receipts, refusal := i.again(ctx, e, request)
	if refusal != nil {
		return nil, refusal
	}
	// An operator who has gone meanwhile leaves nothing to be asked for again.
	if err := i.Bus.Remove(context.WithoutCancel(ctx), events.Quarantine, d.Sequence); err != nil {
		return nil, storeError(err)
	}
	return map[string]any{"webhooks": receipts}, nil
}

func (i *Ingress) reopen(e evidence) (webhook.Request, error) {
	plain, err := i.Store.OpenEvidence(e.ID, e.Sealed)
	if err != nil {
		return webhook.Request{}, err
	}
	var o original
	if err := json.Unmarshal(plain, &o); err != nil {
		return webhook.Request{}, connectors.Errorf(connectors.CodeInternal, "the evidence cannot be read")
	}
	request := webhook.Request{Method: o.Method, PublicURL: o.URL, Header: o.Header, Body: o.Body, Now: o.At}
	request.Query = queryOf(o.URL)
	return request, nil
}

// again verifies a delivery out of quarantine, stores it, and tells whose it is.
func (i *Ingress) again(ctx context.Context, e evidence, request webhook.Request) ([]receipt, *connectors.Error) {
	if e.Scope == "" {
		return i.againApp(ctx, e, request)
	}
	// Whoever redrives has just mended something, maybe by another process.
	conn, err := i.Service.Latest(ctx, connection.NewRef(events.Tenant{Scope: e.Scope, Identity: e.Identity}, e.Connector, e.Account))
	if err != nil {
		return nil, connectors.AsError(err)
	}
	def, err := i.Definitions.Get(e.Connector)
	if err != nil {
		return nil, connectors.AsError(err)
	}
	engine, err := i.engine(def)
	if err != nil {
		return nil, connectors.AsError(err)
	}
	d := &delivery{Request: request, id: events.NewID(), redrivenFrom: e.ID, conn: conn, webhook: &def.Webhook.Descriptor, path: e.Path}
	secrets, err := i.secrets(ctx, d)
	if err != nil {
		return nil, connectors.AsError(err)
	}
	verified, err := engine.Verify(ctx, request, secrets)
	if err != nil {
		return nil, unverified(err)
	}
	if err := receives(conn); err != nil {
		return nil, connectors.AsError(err)
	}
	if refusal := engine.CheckPayload(request); refusal != nil {
		return nil, refusal
	}
	stored, refusal := i.store(ctx, d, i.message(d, engine.Extract(request), verified))
	if refusal != nil {
		return nil, refusal
	}
	i.acted(ctx, events.WebhookRedriven, conn.About(), "quarantine.redrive")
	return []receipt{stored}, nil
}

// againApp does so for a delivery to an app: the accounts may be connected by now.
// It is for those only that were not when it came; the others have it. For those
// that still are not it stays in quarantine, as evidence of its own.
func (i *Ingress) againApp(ctx context.Context, e evidence, request webhook.Request) ([]receipt, *connectors.Error) {
	def, err := i.Definitions.Get(e.Connector)
	if err != nil {
		return nil, connectors.AsError(err)
	}
	secrets, _, refusal := i.app(ctx, def)
	if refusal != nil {
		return nil, refusal
	}
	engine, err := i.engine(def)
	if err != nil {
		return nil, connectors.AsError(err)
	}
	verified, err := engine.Verify(ctx, request, secrets)
	if err != nil {
		return nil, unverified(err)
	}
	if refusal := engine.CheckPayload(request); refusal != nil {
		return nil, refusal
	}
	m := &mailing{Request: request, id: events.NewID(), def: def, filed: engine.Extract(request), verified: verified, evidence: e.ID}
	accounts := m.filed.Accounts
	if len(e.ProviderAccounts) > 0 { // none: it was refused, or its account not understood, and nobody has it
		// What lies beside the seal narrows what lies in it, and cannot widen it.
		accounts = slices.DeleteFunc(accounts, func(account string) bool { return !slices.Contains(e.ProviderAccounts, account) })
	}
	conns, missing, refusal := i.ofAccounts(ctx, def.Key, accounts)
	if refusal != nil {
		return nil, refusal
	}
	if len(conns) == 0 {
		return nil, connectors.Errorf(connectors.CodeConnectorNotConnected, "no connection is of the account that this delivery is for")
	}
	receipts, refusal := i.hand(ctx, m, conns)
	if refusal != nil {
		return nil, refusal
	}
	for n, conn := range conns {
		if receipts[n].Quarantined {
			continue
		}
		i.acted(ctx, events.WebhookRedriven, conn.About(), "quarantine.redrive")
	}
	if len(missing) == 0 {
		return receipts, nil
	}
	e.ProviderAccounts = missing
	// Whoever asks again, for want of an answer, leaves one rest behind.
	if _, err := i.record(ctx, &e, "rest/"+e.ID+"/"+strconv.Itoa(len(missing))); err != nil {
		return nil, storeError(err)
	}
	return append(receipts, receipt{ID: e.ID, Quarantined: true}), nil
}

// acted announces what an operator did. What was done stands whether or not the
// announcement gets out.
func (i *Ingress) acted(ctx context.Context, kind events.Kind, about events.About, operation string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storePatience)
	defer cancel()
	e := events.NewLifecycle("ingress", kind, about, events.Data{Operation: operation, Actor: connection.Actor(ctx)})
	if _, err := i.Bus.Publish(ctx, i.Bus.Event(about.Tenant, about.Connector, kind), e, nil); err != nil {
		i.log.Warn().Err(err).Str("operation", operation).Msg("an operator's action was not announced")
	}
}

// deadLetter is what was given up on.
type deadLetter struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"` // action or webhook
	Scope     string    `json:"scope"`
	Identity  string    `json:"identity"`
	Connector string    `json:"connector"`
	Account   string    `json:"account,omitempty"`
	Name      string    `json:"name"` // of the action, or the provider's event type
	Attempts  int       `json:"attempts"`
	Reason    string    `json:"reason"`               // the code of the error it died of
	RequestID string    `json:"request_id,omitempty"` // of the action, or the id of the webhook
	At        time.Time `json:"at"`
}

func (i *Ingress) listDeadLetters(r *http.Request) (any, error) {
	filter := i.Bus.Prefix() + ".dead." + token(r, "kind") + "." + token(r, "scope") + "." + token(r, "identity") + "." + token(r, "connector") + ".*"
	return readPage(r.Context(), i, r, events.Dead, filter, "kind scope identity connector", func(d *events.Delivery) (deadLetter, bool) {
		return i.deadLetter(d)
	})
}

func (i *Ingress) deadLetter(d *events.Delivery) (deadLetter, bool) {
	dead, err := i.Bus.ParseDead(d)
	if err != nil {
		return deadLetter{}, false
	}
	return deadLetter{
		ID: strconv.FormatUint(d.Sequence, 10), Kind: dead.Kind, Scope: dead.Scope, Identity: dead.Identity, Connector: dead.Connector,
		Account: dead.Account, Name: dead.Action, Attempts: events.Attempts(d), Reason: dead.Reason, RequestID: dead.ID, At: d.Stored,
	}, true
}

// redriveDeadLetter hands it out again. An action becomes a new request, since
// the old one has its result: the answer says where the new one's will be.
func (i *Ingress) redriveDeadLetter(r *http.Request) (any, error) {
	d, err := i.filed(r, events.Dead, "dead letter")
	if err != nil {
		return nil, err
	}
	dead, err := i.Bus.ParseDead(d)
	if err != nil {
		return nil, connectors.Errorf(connectors.CodeInternal, "the dead letter cannot be read")
	}
	id := events.RedrivenID(dead, d)
	if err := i.Bus.Redrive(r.Context(), d, id); err != nil {
		return nil, storeError(err)
	}
	if err := i.Bus.Remove(context.WithoutCancel(r.Context()), events.Dead, d.Sequence); err != nil {
		return nil, storeError(err)
	}
	about := events.About{Tenant: dead.Tenant, Connector: dead.Connector, Account: dead.Account, RequestID: dead.ID}
	if dead.Kind == "webhook" {
		i.acted(r.Context(), events.WebhookRedriven, about, "dead-letters.redrive")
		return map[string]any{"id": dead.ID}, nil
	}
	i.acted(r.Context(), events.ActionRedriven, about, "dead-letters.redrive")
	reference := events.Reference(dead.ActionRef, id)
	return map[string]any{"id": id, "result_url": i.opts.BaseURL + i.opts.BasePath + "/results/" + reference}, nil
}
