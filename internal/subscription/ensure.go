package subscription

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// ensure makes the one registration that there should be.
func (w *work) ensure(ctx context.Context) error {
	if ok := w.ensureSecret(ctx); !ok {
		return nil
	}
	a := w.current
	fingerprint, err := a.connector.Registrar.Fingerprint(a.call, a.to)
	if err != nil {
		w.fail("create", err)
		return nil
	}
	now, live := time.Now(), w.s.In(records.RegistrationLive)
	ends := live != nil && !live.ExpiresAt.IsZero()
	switch {
	case live == nil, live.Fingerprint != fingerprint, ends && !now.Before(live.ExpiresAt):
		return w.create(ctx, fingerprint)
	case ends && !now.Before(live.ExpiresAt.Add(-w.before(live))):
		if a.connector.Subscription.Renew == nil || w.renew(ctx, live) {
			return w.create(ctx, fingerprint)
		}
		if w.failure != nil {
			return nil
		}
	}
	if !a.lists() || !w.compare && now.Sub(w.s.ComparedAt) < w.runtime.opts.CompareEvery/2 {
		return nil
	}
	if there := w.compareListed(ctx, live); !there && w.failure == nil {
		return w.create(ctx, fingerprint)
	}
	return nil
}

// secretBytes is the size of a signing secret that is made here.
const secretBytes = 32

// ensureSecret makes a signing secret where the provider is given one and the config has none. It
// returns false if that has failed.
func (w *work) ensureSecret(ctx context.Context) bool {
	a := w.current
	field := a.connector.Webhook.SecretField
	if !a.to.Secret.IsZero() || field == "" || !a.connector.Registrar.NeedsSecret() || a.connector.Subscription.Create.Secret != "" {
		return true
	}
	var b [secretBytes]byte
	_, _ = rand.Read(b[:]) // never fails
	err := w.runtime.Service.SetWebhookSecret(ctx, w.connection, field, secret.New(hex.EncodeToString(b[:])))
	if err == nil {
		err = w.reload(ctx)
	}
	if err != nil {
		w.fail("create", err)
	}
	return err == nil
}

// reload reads the connection again, which was changed.
func (w *work) reload(ctx context.Context) error {
	c, err := w.runtime.Connections.Latest(ctx, w.s.Ref())
	if err != nil {
		return err
	}
	a, ok, err := w.runtime.accessOf(c)
	if err != nil {
		return err
	}
	if !ok {
		return connectors.Errorf(connectors.CodeConnectorNotConnected, "the connection was changed meanwhile")
	}
	w.connection, w.current = c, a
	return w.runtime.open(ctx, a)
}

// create registers the webhook, in place of the live registration if there is one. The intent is
// stored before: if its outcome is not, the provider's list says what there is.
func (w *work) create(ctx context.Context, fingerprint string) error {
	a := w.current
	snapshot, err := w.connection.Snapshot()
	if err != nil {
		w.fail("create", err)
		return nil
	}
	made := &records.Registration{
		State: records.RegistrationCreating, Nonce: events.NewID(), Fingerprint: fingerprint,
		CreatedAt: time.Now().UTC(), Connection: snapshot,
	}
	a.to.ID = made.Nonce
	w.s.Registrations = append(w.s.Registrations, made)
	if err := w.save(ctx); err != nil {
		return err
	}
	r, err := a.connector.Registrar.Create(ctx, a.call, a.to)
	if err != nil {
		if refused(err) {
			w.s.Remove(made)
		}
		w.fail("create", err)
		return nil
	}
	made.State, made.ID, made.Values, made.ExpiresAt = records.RegistrationLive, r.ID, r.Values, r.ExpiresAt
	if field := a.connector.Webhook.SecretField; !r.Secret.IsZero() && field != "" && !r.Secret.Equal(a.to.Secret) {
		if err := w.runtime.Service.SetWebhookSecret(ctx, w.connection, field, r.Secret); err != nil {
			made.State = records.RegistrationLeaving // nobody can verify its deliveries
			w.fail("create", err)
			return w.save(ctx)
		}
	}
	w.replace(made)
	w.s.ComparedAt = made.CreatedAt
	if err := w.save(ctx); err != nil {
		return err
	}
	w.runtime.telemetry.done("create")
	w.addEvent(events.SubscriptionCreated, events.Data{})
	return nil
}

// replace makes a registration the only live one. One with the same id is the same at the
// provider: it has room for one only.
func (w *work) replace(made *records.Registration) {
	for _, old := range append([]*records.Registration(nil), w.s.Registrations...) {
		switch {
		case old == made || old.State == records.RegistrationCreating:
		case sameID(old.ID, made.ID):
			w.s.Remove(old)
		default:
			old.State = records.RegistrationLeaving
		}
	}
}

// refused reports whether a request has certainly not registered anything.
func refused(err error) bool {
	if e, ok := errors.AsType[*connectors.ProviderError](err); ok {
		return e.Status < http.StatusInternalServerError
	}
	switch connectors.AsError(err).Code {
	case connectors.CodeConnectorConfigInvalid, connectors.CodeConnectorActionInputInvalid, connectors.CodeConnectorRateLimited:
		return true
	}
	return false
}

// renew extends the live registration. It returns true if the provider does not know it.
func (w *work) renew(ctx context.Context, live *records.Registration) (gone bool) {
	a := w.current
	a.to.ID = live.Nonce
	until, err := a.connector.Registrar.Renew(ctx, a.call, a.to, registrationOf(live))
	if e, ok := errors.AsType[*connectors.ProviderError](err); ok && (e.Status == http.StatusNotFound || e.Status == http.StatusGone) {
		return true
	}
	if err != nil {
		w.fail("renew", err)
		return false
	}
	live.RenewedAt, live.ExpiresAt, live.Warned = time.Now().UTC(), until, false
	w.runtime.telemetry.done("renew")
	w.addEvent(events.SubscriptionRenewed, events.Data{})
	return false
}

// compareListed reports whether the provider lists the live registration with our URL. It
// removes what else leads here and belongs to no connection, or to this one.
func (w *work) compareListed(ctx context.Context, live *records.Registration) (there bool) {
	a := w.current
	listed, err := a.connector.Registrar.List(ctx, a.call, a.to)
	if err != nil {
		w.fail("list", err)
		return false
	}
	w.s.ComparedAt = time.Now().UTC()
	for _, item := range listed {
		segment, ours := a.segmentOf(item.URL)
		switch {
		case !ours:
		case segment.Equal(a.segment) && sameID(item.ID, live.ID):
			there = true
		case sameID(item.ID, live.ID) && !a.connector.Registrar.DeletesByURL():
			// It has an earlier URL of ours: it is made again.
		case segment.Equal(a.segment) || w.abandoned(ctx, segment):
			w.removeListed(ctx, a, item)
		}
	}
	return there
}

// abandoned reports whether a webhook URL of this installation leads to no connection, or is an
// earlier one of this connection.
func (w *work) abandoned(ctx context.Context, segment secret.Text) bool {
	owner, err := w.runtime.Connections.ByWebhookURL(ctx, w.s.Ref().Connector, segment)
	if err == nil {
		return owner.Ref() == w.s.Ref()
	}
	unknown := errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorWebhookVerificationFailed})
	return unknown && w.runtime.Connections.WebhookURLOrigin(segment) == records.URLSigned
}
