package webhooks_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// unnumbered makes two deliveries of a connector that nothing tells apart.
func unnumbered(c connectors.Connector) connectors.Connector {
	c.Webhook.Delivery.ID, c.Webhook.Delivery.Repeats = "", true
	return c
}

// of counts an organization's webhooks.
func (s *site) of(org string) int {
	s.t.Helper()
	return len(s.messages(events.Webhooks, "hawser.webhook.organization."+org+".>"))
}

type receipts struct {
	Webhooks []struct {
		ID                     string
		Duplicate, Quarantined bool
	}
}

// redriven waits until an ingress redrives what lies at a place of the quarantine:
// it may not know yet what has changed.
func (s *site) redriven(front int, place string) (r receipts) {
	s.t.Helper()
	s.eventually("it is redriven", func() bool {
		a := s.send(front, "POST", "/quarantine/"+place+"/redrive", "", http.Header{"Authorization": {"Bearer " + s.token.Reveal()}})
		return a.status == http.StatusOK && json.Unmarshal([]byte(a.body), &r) == nil
	})
	return r
}

func TestARedriveIsForThoseAccountsOnlyThatNobodyHadConnected(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{ingress: apps()}, unnumbered(appProbe()))
	s.connect("org_1", `{"team":"T1"}`)
	s.eventually("T1 is known", func() bool {
		all, err := s.Store.ByProviderAccount(t.Context(), "probe", "T1")
		return err == nil && len(all) == 1
	})
	if a := s.toApp(`{"teams":[{"id":"T1"},{"id":"T2"}]}`, "", appSecret); a.status != http.StatusAccepted || !a.quarantined() {
		t.Fatalf("got %+v, want 202 and that a part of it waits", a)
	}
	item := s.quarantine(1)[0]
	s.connect("org_2", `{"team":"T2"}`)
	s.redriven(0, item.ID)
	if first, second := s.of("org_1"), s.of("org_2"); first != 1 || second != 1 {
		t.Errorf("%d for the account that had it and %d for the other, want one each", first, second)
	}
}

func TestARedriveKnowsEveryAccountHoweverManyThereAre(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{ingress: apps()}, unnumbered(appProbe()))
	var teams []string
	for n := range 101 {
		teams = append(teams, fmt.Sprintf(`{"id":"T%03d"}`, n))
	}
	s.toApp(`{"teams":[`+strings.Join(teams, ",")+`]}`, "", appSecret)
	item := s.quarantine(1)[0]
	if len(item.ProviderAccounts) != 100 {
		t.Errorf("the list shows %d accounts, want the first 100", len(item.ProviderAccounts))
	}
	s.api("POST", "/quarantine/"+item.ID+"/redrive", "", http.StatusNotFound, nil)
	// Those who are connected need not wait for those who may never be.
	for n := range 101 {
		s.api("PUT", fmt.Sprintf("/scopes/organization/org_%03d/connections/probe", n), fmt.Sprintf(`{"config":{"team":"T%03d"}}`, n), http.StatusCreated, nil)
		if n == 49 {
			if r := s.redriven(0, item.ID); len(r.Webhooks) != 51 || !r.Webhooks[50].Quarantined {
				t.Errorf("%d receipts, want 50 and one of the quarantine", len(r.Webhooks))
			}
			if item = s.quarantine(1)[0]; len(item.ProviderAccounts) != 51 || item.ProviderAccounts[0] != "T050" {
				t.Errorf("there wait %v, want 51 accounts", item.ProviderAccounts)
			}
		}
	}
	if r := s.redriven(0, item.ID); len(r.Webhooks) != 51 {
		t.Errorf("%d receipts, want 51", len(r.Webhooks))
	}
	s.quarantine(0)
	for n := range 101 {
		if got := s.of(fmt.Sprintf("org_%03d", n)); got != 1 {
			t.Errorf("account %d got %d, want one", n, got)
		}
	}
}

// The ingress is gone after the delivery is stored and before it has left the
// quarantine; the operator asks again, another ingress.
func TestARedriveThatWasCutOffAndAskedForAgainStoresOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]connectors.Connector{"for a connection": unnumbered(probe()), "for an app": unnumbered(appProbe())} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, siteOptions{ingresses: 3, ingress: apps()}, c)
			url, secret := appURL, appSecret
			if c.Webhook.AppSecret == "" {
				url, secret = s.connect("org_1", secretConfig).WebhookURL, signingSecret
				s.api("POST", "/scopes/organization/org_1/connections/probe/toggle", "", http.StatusOK, nil)
			}
			const body = `{"teams":[{"id":"T7"}]}`
			s.eventually("it is kept", func() bool {
				return s.send(0, "POST", url, body, signed(secret, body, "", time.Now())).quarantined() ||
					len(s.messages(events.Quarantine, ">")) > 0
			})
			kept := s.messages(events.Quarantine, ">")[0]
			if c.Webhook.AppSecret == "" {
				s.api("POST", "/scopes/organization/org_1/connections/probe/toggle", "", http.StatusOK, nil)
			} else {
				s.connect("org_1", `{"team":"T7"}`)
			}
			before := s.of("org_1")
			s.redriven(0, fmt.Sprint(kept.Sequence))
			again := func(front int) {
				t.Helper()
				copied, err := s.js.Publish(t.Context(), kept.Subject, kept.Data)
				must(t, err)
				if r := s.redriven(front, fmt.Sprint(copied.Sequence)); len(r.Webhooks) != 1 || !r.Webhooks[0].Duplicate {
					t.Errorf("another ingress answers %+v, want that it is stored", r)
				}
			}
			again(1)
			if got := s.of("org_1") - before; got != 1 {
				t.Errorf("%d are stored, want one", got)
			}
			again(2)
			if got := s.of("org_1") - before; got != 1 {
				t.Errorf("%d are stored after the second repetition, want one", got)
			}
		})
	}
}

// The names of accounts lie in the open. Whoever wrote another's there would have
// its neighbours' deliveries.
func TestARedriveGoesToNoAccountThatTheDeliveryDoesNotName(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{ingress: apps()}, appProbe())
	s.toApp(`{"teams":[{"id":"T1"}]}`, "evt_1", appSecret)
	kept := s.messages(events.Quarantine, ">")[0]
	s.connect("org_2", `{"team":"T2"}`)
	forged, err := s.js.Publish(t.Context(), kept.Subject, []byte(strings.Replace(string(kept.Data), `["T1"]`, `["T2"]`, 1)))
	must(t, err)
	s.api("POST", fmt.Sprintf("/quarantine/%d/redrive", forged.Sequence), "", http.StatusNotFound, nil)
	if got := s.of("org_2"); got != 0 {
		t.Errorf("%d are stored for an account that was not meant, want none", got)
	}
}
