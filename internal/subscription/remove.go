package subscription

import (
	"context"
	"slices"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

const (
	// maxRemovals bounds how often the removal of a registration is tried.
	maxRemovals = 20
	// maxClearings bounds how often the list is asked what a lost call has made, before a
	// registration is made without the answer.
	maxClearings = 3
)

// removeLeaving removes what is not wanted any more, with the credentials that it was made with,
// or else with the present ones.
func (w *work) removeLeaving(ctx context.Context) {
	live := w.s.In(records.RegistrationLive)
	for _, r := range slices.Clone(w.s.Registrations) {
		if r.State != records.RegistrationLeaving {
			continue
		}
		if live != nil && sameID(live.ID, r.ID) {
			w.s.Remove(r)
			continue
		}
		err := w.remove(ctx, r)
		if err == nil {
			w.s.Remove(r)
			w.runtime.telemetry.done("delete")
			continue
		}
		r.Tries++
		w.fail("delete", err)
		if r.Tries >= maxRemovals {
			w.addEvent(events.SubscriptionFailed, events.Data{
				Operation: "delete", Attempt: r.Tries, ErrorCode: string(connectors.AsError(err).Code),
				ErrorMessage: "the webhook could not be removed at the provider, and is not tried again: remove it there by hand",
			})
			w.s.Remove(r)
		}
	}
}

func (w *work) remove(ctx context.Context, r *records.Registration) error {
	a, ok, err := w.runtime.snapshotAccess(r)
	if err != nil {
		return err
	}
	if !ok {
		return connectors.Errorf(connectors.CodeConnectorNotFound, "%s registers no webhooks any more", w.s.Ref().Connector)
	}
	if err = w.runtime.open(ctx, a); err == nil {
		err = a.connector.Registrar.Delete(ctx, a.call, a.to, registrationOf(r))
	}
	if err == nil || w.current == nil || w.current.call == nil {
		return err
	}
	// The old credentials may have been replaced because they are no longer good.
	call := *w.current.call
	call.Config = a.config
	if old, resolveErr := a.connector.Resolve(a.config); resolveErr != nil || old.BaseURL != call.BaseURL {
		return err
	}
	return a.connector.Registrar.Delete(ctx, &call, a.to, registrationOf(r))
}

// clearLost removes what calls have made whose outcome was not stored, as far as the provider
// lists it. It returns false if that is not known yet.
func (w *work) clearLost(ctx context.Context) (cleared bool) {
	cleared = true
	for _, lost := range slices.Clone(w.s.Registrations) {
		if lost.State != records.RegistrationCreating {
			continue
		}
		if err := w.clear(ctx, lost); err != nil {
			lost.Tries++
			w.fail("list", err)
			if lost.Tries < maxClearings {
				cleared = false
				continue
			}
		}
		w.s.Remove(lost)
	}
	return cleared
}

func (w *work) clear(ctx context.Context, lost *records.Registration) error {
	a, ok, err := w.runtime.snapshotAccess(lost)
	if err != nil {
		return err
	}
	if !ok || !a.lists() {
		lost.Tries = maxClearings
		return connectors.Errorf(connectors.CodeConnectorActionUncertain, "it is not known whether the webhook was registered: the provider does not list its webhooks")
	}
	if err := w.runtime.open(ctx, a); err != nil {
		return err
	}
	listed, err := a.connector.Registrar.List(ctx, a.call, a.to)
	if err != nil {
		return err
	}
	for _, item := range listed {
		segment, ours := a.segmentOf(item.URL)
		known := slices.ContainsFunc(w.s.Registrations, func(r *records.Registration) bool { return sameID(r.ID, item.ID) })
		if !ours || !segment.Equal(a.segment) || known {
			continue
		}
		if err := w.deleteListed(ctx, a, item); err != nil {
			return err
		}
	}
	return nil
}

// removeListed removes a registration that nothing records.
func (w *work) removeListed(ctx context.Context, a *access, item connectors.ListedRegistration) {
	if err := w.deleteListed(ctx, a, item); err != nil {
		w.fail("delete", err)
	}
}

func (w *work) deleteListed(ctx context.Context, a *access, item connectors.ListedRegistration) error {
	to := a.to
	to.URL = item.URL
	err := a.connector.Registrar.Delete(ctx, a.call, to, connectors.Registration{ID: item.ID})
	if err == nil {
		w.runtime.telemetry.done("delete")
	}
	return err
}
