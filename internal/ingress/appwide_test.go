package ingress_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/internal/ingress/receive"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/events"
)

const appURL = "/api/v1/connectors/app/webhook"

// appProbe is signed with the app's secret; the query names the account.
func appProbe() connectors.Connector {
	c := testenv.Probe("app", "")
	c.Webhook.SecretField, c.Webhook.AppSecret, c.Webhook.Delivery.Account = "", webhooks.AppWebhookSecret, "{query.team}"
	return c
}

func apps() *ingress.Options {
	return &ingress.Options{AppSecrets: receive.AppSecrets(func(name string) string {
		return map[string]string{"HAWSER_APP_APP_WEBHOOK_SECRET": secret}[name]
	})}
}

func TestAnAppsWebhookIsRefusedInTimeWhileNATSDoesNotAnswer(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	proxy := testenv.NewProxy(t, env.URL())
	nc, err := nats.Connect(proxy.URL(), append(events.ConnectOptions("test"), nats.UserCredentials(env.Server().CredsPath()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	q, err := queue.New(nc, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := testenv.StartNode(t, &testenv.NodeOptions{Env: env, Queue: q, Connectors: []connectors.Connector{appProbe()}, BaseURL: "https://hooks.example.test"})
	s := &site{n, n.StartIngress(t, apps())}
	if r := s.deliver(t, appURL+"?team=T1", "before", "{}"); r.status != http.StatusAccepted {
		t.Fatalf("%d %s", r.status, r.body)
	}
	proxy.Pause()
	began := time.Now()
	isUnavailable(t, "an app's webhook", s.deliverOnce(t, appURL+"?team=T2", "during", "{}"), began)
	proxy.Resume()
}

// blockedTransport blocks until it is closed.
type blockedTransport chan struct{}

func (b blockedTransport) RoundTrip(*http.Request) (*http.Response, error) {
	<-b
	return nil, errors.New("no answer")
}

func TestAnAppsWebhookIsRefusedInTimeWithoutTheProvidersKeys(t *testing.T) {
	t.Parallel()
	c := appProbe()
	c.Webhook.AppSecret = ""
	c.Webhook.Verify = []webhooks.Verification{{
		Scheme: webhooks.SchemeRSA, Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex, Signed: "{body}",
		Signature: webhooks.Source{From: "header.X-Probe-Signature", Prefix: "sha256="},
		Key:       webhooks.Key{CertificateURL: "header.X-Cert", Addresses: []string{"https://keys.example.test/*"}},
	}}
	n, network := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{c}}), make(blockedTransport)
	t.Cleanup(func() { close(network) })
	s := &site{n, n.StartIngress(t, &ingress.Options{HTTP: &http.Client{Transport: network}})}
	began := time.Now()
	r := s.deliverOnce(t, appURL+"?team=T1", "d1", "{}", "X-Cert", "https://keys.example.test/cert.pem")
	if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" || r.code() != "CONNECTOR_UNAVAILABLE" || time.Since(began) > 2*time.Second {
		t.Errorf("keys that do not come: %d %s after %v", r.status, r.body, time.Since(began))
	}
}
