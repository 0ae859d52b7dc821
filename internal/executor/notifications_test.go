package executor_test

import (
	"testing"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestNotificationsAreSentUnlessTheyAreSwitchedOff(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"on": 1, "off": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", "", echo())}})
			n.Connect(t, ava, "probe", key)
			n.StartExecutor(t, &executor.Options{SkipNotifications: name == "off"})
			done := n.Listen(t, "hawser.event.*.*.*.action.completed")
			hook := events.New("ingress", "hawser.webhook.moved", events.EventContext{Tenant: ava, Connector: "probe", Account: "default"}, []byte(`{}`))
			n.Publish(t, n.Bus.Subjects.Webhook(ava, "probe", "moved", "d1"), hook.Header, string(hook.Data))
			if _, _, err := n.Bus.Request(t.Context(), n.Bus.Subjects.Call(testenv.Ref(ava, "probe", "echo")), []byte(`{"text":"x"}`)); err != nil {
				t.Fatal(err)
			}
			done.Event(t)
			testenv.Eventually(t, "the webhook is read", func() bool {
				status, err := n.Store.Status(t.Context(), records.NewRef(ava, "probe", ""))
				return err == nil && status != nil && status.LastWebhook != nil
			})
			for _, kind := range []string{"action.started", "webhook.received"} {
				if got := n.Count(t, events.Lifecycle, "hawser.event.*.*.*."+kind); got != want {
					t.Errorf("%d events %s, want %d", got, kind, want)
				}
			}
		})
	}
}
