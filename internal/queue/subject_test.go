package queue_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestSubjects(t *testing.T) {
	t.Parallel()
	s, ref := subjectsOf(t), refOf(ava)
	got := map[string]string{
		"due":           s.DueAction(ref),
		"dead":          s.DeadAction(ref),
		"due filter":    s.DueActionFilter("demo-key"),
		"webhooks due":  s.DueWebhookFilter("demo-key"),
		"refresh timer": s.RefreshTimer("g"),
		"refreshes due": s.RefreshesDue(),
		"inactivity":    s.InactivityDue(),
		"subscriptions": s.SubscriptionsDue(),
	}
	want := map[string]string{
		"due":           "hawser.due.action.organization.ava=40example=2Ecom.demo-key.postMessage",
		"dead":          "hawser.dead.action.organization.ava=40example=2Ecom.demo-key.postMessage",
		"due filter":    "hawser.due.action.*.*.demo-key.>",
		"webhooks due":  "hawser.due.webhook.*.*.demo-key.>",
		"refresh timer": "hawser.timer.refresh.g",
		"refreshes due": "hawser.due.refresh.>",
		"inactivity":    "hawser.due.silence.>",
		"subscriptions": "hawser.due.subscription.>",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("subjects (-want +got):\n%s", diff)
	}
	for _, subject := range []string{s.DueAction(ref), s.DeadAction(ref)} {
		if got, err := s.ParseAction(subject); err != nil || got != ref {
			t.Errorf("ParseAction(%q) = %+v, %v", subject, got, err)
		}
	}
	account := queue.AccountRef{Tenant: ava, Connector: "demo-key", Account: "a.b"}
	if got, err := s.ParseInactivity("hawser.due.silence.organization.ava=40example=2Ecom.demo-key.a=2Eb"); err != nil || got != account {
		t.Errorf("ParseInactivity: got %+v, %v", got, err)
	}
	if got, err := s.ParseSubscription("hawser.due.subscription.organization.ava=40example=2Ecom.demo-key.a=2Eb"); err != nil || got != account {
		t.Errorf("ParseSubscription: got %+v, %v", got, err)
	}
	if got, err := s.ParseSubscription("hawser.due.silence.organization.ava.demo-key.a"); err == nil {
		t.Errorf("ParseSubscription of an inactivity timer: got %+v", got)
	}
	if got := s.ParseRefreshDue(s.RefreshDue("g")); got != "g" {
		t.Errorf("ParseRefreshDue: got %q", got)
	}
}

func TestParkedSubjectsDifferByTenantAndRequest(t *testing.T) {
	t.Parallel()
	s := subjectsOf(t)
	seen := map[string]bool{}
	for _, tenant := range []events.Tenant{ava, bob} {
		for _, id := range []string{"1", "2"} {
			subject := s.Parked(refOf(tenant), id)
			if seen[subject] || strings.Contains(subject, "ava") || strings.Contains(subject, "bob") {
				t.Errorf("%s: twice, or not anonymous", subject)
			}
			seen[subject] = true
		}
	}
}
