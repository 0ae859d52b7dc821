package webhooks_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/internal/ingress/receive"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/events"
)

const appSecret, oldAppSecret = "canary-app-secret-1", "canary-app-secret-0"

// appProbe signs with the app's secret, and names the account in the body. Whose
// account it is is an executor's to say.
func appProbe() connectors.Connector {
	c := probe()
	c.Webhook.AppSecret, c.Webhook.AccountField = webhooks.AppWebhookSecret, "team"
	c.Webhook.Delivery.Account = "{body.teams.*.id}"
	c.Validate = func(context.Context, *connectors.Call) error { return nil }
	return c
}

func apps() ingress.Options {
	return ingress.Options{AppSecrets: receive.AppSecrets(func(name string) string {
		return map[string]string{"HAWSER_APP_PROBE_WEBHOOK_SECRET": appSecret, "HAWSER_APP_PROBE_WEBHOOK_SECRET_PREVIOUS": oldAppSecret}[name]
	})}
}

const appURL = "/connectors/probe/webhook"

func (s *site) toApp(body, delivery, secret string) answer {
	s.t.Helper()
	return s.send(0, "POST", appURL, body, signed(secret, body, delivery, time.Now()))
}

// quarantined reports whether an answer says that something waits for an operator.
func (a answer) quarantined() bool { return a.header.Get("Hawser-Quarantined") == "true" }

func TestAnAppsWebhookReachesEveryConnectionOfItsAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{ingress: apps()}, appProbe())
	for org, team := range map[string]string{"org_1": "T1", "org_2": "T1", "org_3": "T2", "org_4": "T9"} {
		s.connect(org, `{"team":"`+team+`"}`)
	}
	s.eventually("the first copy is accepted", func() bool {
		a := s.toApp(`{"teams":[{"id":"T1"},{"id":"T2"}]}`, "evt_1", appSecret)
		return a.status/100 == 2 && len(s.messages(events.Webhooks, ">")) == 3
	})
	again := s.toApp(`{"teams":[{"id":"T1"},{"id":"T2"}]}`, "evt_1", oldAppSecret)
	if again.status != http.StatusOK || again.header.Get("Hawser-Duplicate") != "true" || again.quarantined() {
		t.Errorf("a repetition signed with the previous secret got %+v, want 200 and that it is one", again)
	}
	if again.body != "" {
		t.Errorf("the provider learns whose the account is: %+v", again)
	}
	for subject, want := range map[string]int{"org_1": 1, "org_2": 1, "org_3": 1, "org_4": 0} {
		if got := len(s.messages(events.Webhooks, "hawser.webhook.organization."+subject+".>")); got != want {
			t.Errorf("%s got %d events, want %d", subject, got, want)
		}
	}
	for _, m := range s.messages(events.Webhooks, ">") {
		if string(m.Data) != `{"teams":[{"id":"T1"},{"id":"T2"}]}` {
			t.Errorf("a batch was not kept whole: %s", m.Data)
		}
	}
	if a := s.toApp(`{"teams":[{"id":"T1"}]}`, "evt_2", "wrong"); a.status != http.StatusUnauthorized {
		t.Errorf("a wrong signature got %d, want 401", a.status)
	}
	if item := s.quarantine(1)[0]; item.Reason != "signature" || item.Redrivable {
		t.Errorf("the evidence says %+v", item)
	}
}

// A provider that signs with the OAuth client's secret signs with the one that
// tokens are asked for with: it is set once, and rotated in one place.
func TestTheClientsSecretsOfAnAppVerifyItsWebhooks(t *testing.T) {
	t.Parallel()
	c := appProbe()
	c.Webhook.AppSecret, c.Webhook.SecretField = webhooks.AppClientSecret, ""
	s := newSite(t, siteOptions{}, c)
	conn := s.connect("org_1", `{"team":"T1"}`)
	n := 0
	want := func(secret string, status int) {
		t.Helper()
		for _, url := range []string{conn.WebhookURL, appURL} {
			s.eventually(fmt.Sprintf("%s answers %d to %s", url, status, secret), func() bool {
				n++
				body := fmt.Sprintf(`{"n":%d,"teams":[{"id":"T1"}]}`, n)
				return s.send(0, "POST", url, body, signed(secret, body, fmt.Sprint("evt_", n), time.Now())).status == status
			})
		}
	}
	if a := s.send(0, "POST", appURL, `{}`, signed("canary-new", `{}`, "", time.Now())); a.status != http.StatusNotFound {
		t.Errorf("without an app its URL answers %d", a.status)
	}
	s.api("PUT", "/apps/probe", `{"client_id":"id","client_secrets":["canary-new","canary-old"]}`, http.StatusOK, nil)
	want("canary-new", http.StatusAccepted)
	want("canary-old", http.StatusAccepted)
	want("canary-other", http.StatusUnauthorized)
	s.api("PUT", "/apps/probe", `{"client_id":"id","client_secrets":["canary-new"]}`, http.StatusOK, nil)
	want("canary-old", http.StatusUnauthorized)
	want("canary-new", http.StatusAccepted)
	if strings.Contains(s.everything(), "canary-") {
		t.Error("a secret lies in the clear")
	}
}

func TestADeliveryForAnAccountThatNobodyConnectedWaitsInQuarantine(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{ingress: apps()}, appProbe())
	if a := s.toApp(`{"teams":[{"id":"T7"}]}`, "evt_1", appSecret); a.status != http.StatusAccepted || !a.quarantined() {
		t.Fatalf("got %+v, want 202 and that it waits", a)
	}
	item := s.quarantine(1)[0]
	if item.Reason != "unroutable" || len(item.ProviderAccounts) != 1 || item.ProviderAccounts[0] != "T7" {
		t.Errorf("the evidence says %+v", item)
	}
	s.api("POST", "/quarantine/"+item.ID+"/redrive", "", http.StatusNotFound, nil)
	s.connect("org_1", `{"team":"T7"}`)
	s.api("POST", "/quarantine/"+item.ID+"/redrive", "", http.StatusOK, nil)
	if got := len(s.messages(events.Webhooks, ">")); got != 1 {
		t.Errorf("the stream holds %d events, want one", got)
	}
	s.acted("webhook.redriven", "quarantine.redrive", 1)
	if got := len(s.messages(events.Lifecycle, "hawser.event.organization.org_1.probe.webhook.redriven")); got != 1 {
		t.Errorf("the app's delivery was published %d times, want once", got)
	}
}

func TestRoutesFollowConnectChangeAndDisconnect(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{ingress: apps()}, appProbe())
	s.connect("org_1", `{"team":"T1"}`)
	of := func(team string) int {
		all, err := s.Store.ByProviderAccount(t.Context(), "probe", team)
		must(t, err)
		return len(all)
	}
	s.eventually("T1 leads to it", func() bool { return of("T1") == 1 })
	s.api("PATCH", "/scopes/organization/org_1/connections/probe", `{"config":{"team":"T2"}}`, http.StatusOK, nil)
	s.eventually("T2 leads to it", func() bool { return of("T2") == 1 && of("T1") == 0 })
	s.api("DELETE", "/scopes/organization/org_1/connections/probe", "", http.StatusNoContent, nil)
	s.eventually("nothing leads to it", func() bool { return of("T2") == 0 })
}

func TestAnAppWithoutASecretHasNoWebhook(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{noExecutor: true}, appProbe())
	if a := s.send(0, "POST", appURL, `{}`, signed("", `{}`, "", time.Now())); a.status != http.StatusNotFound || !strings.Contains(a.body, "CONNECTOR_WEBHOOK_NOT_CONFIGURED") {
		t.Errorf("got %d %s, want 404", a.status, a.body)
	}
}

// The provider hands over its signing secret once; then it verifies.
func TestASecretThatTheProviderHandsOverIsKeptOnce(t *testing.T) {
	t.Parallel()
	c := probe()
	c.Webhook.Handshakes = []webhooks.Handshake{{
		Name: "hello", When: []webhooks.Match{{From: "header.X-Hook-Secret", Present: true}},
		Capture: webhooks.Source{From: "header.X-Hook-Secret"},
		Respond: webhooks.Response{Headers: map[string]string{"X-Hook-Secret": "{header.X-Hook-Secret}"}},
	}}
	s := newSite(t, siteOptions{noExecutor: true}, c)
	conn := s.connect("org_1", `{}`)
	hello := func(secret string) answer {
		return s.send(0, "POST", conn.WebhookURL, "", http.Header{"X-Hook-Secret": {secret}})
	}
	if a := hello(signingSecret); a.status != http.StatusOK || a.header.Get("X-Hook-Secret") != signingSecret {
		t.Fatalf("the handshake got %d %s", a.status, a.body)
	}
	s.eventually("deliveries verify", func() bool {
		return s.send(0, "POST", conn.WebhookURL, `{}`, signed(signingSecret, `{}`, "evt_1", time.Now())).status/100 == 2
	})
	if a := hello("another"); a.status/100 == 2 {
		t.Errorf("a second secret got %d, want a refusal", a.status)
	}
	if a := s.send(0, "POST", conn.WebhookURL, `{}`, signed("another", `{}`, "evt_2", time.Now())); a.status != http.StatusUnauthorized {
		t.Errorf("a delivery signed with it got %d, want 401", a.status)
	}
}
