// Package webhooks_test tests a webhook's path through all roles, in one process
// over a real NATS server: several ingresses, an executor, and a connector with
// the test's own handler.
package webhooks_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/internal/executor"
	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

const signingSecret = "canary-webhook-secret-77ab"

type probeConfig struct {
	WebhookSecret connectors.Secret `json:"webhookSecret,omitzero"`
	Team          string            `json:"team,omitempty"`
}

// probe is a connector whose webhooks are signed like the demo provider's.
func probe() connectors.Connector {
	return connectors.Connector{
		Key: "probe", Metadata: connectors.Metadata{Name: "Probe"}, Config: schema.For[probeConfig](),
		Auth: connectors.Auth{Kind: connectors.AuthNone},
		Webhook: &connectors.Webhook{Descriptor: webhooks.Descriptor{
			SecretField: "webhookSecret",
			Verify: []webhooks.Verification{{
				Scheme: webhooks.SchemeHMAC, Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex,
				Signature: webhooks.Source{From: "header.X-Signature", Prefix: "sha256="}, Signed: "{timestamp}.{body}",
				Timestamp: &webhooks.Timestamp{Source: webhooks.Source{From: "header.X-Timestamp"}, Tolerance: webhooks.Duration(300 * time.Second)},
			}},
			Delivery: webhooks.Extraction{ID: "{header.X-Delivery}", Type: "{header.X-Event}"},
		}},
	}
}

// site is an installation: one node with ingresses and, by default, an executor.
type site struct {
	*testenv.Node
	t      testing.TB
	js     jetstream.JetStream
	token  secret.Text
	fronts []*testenv.Front
}

// tokenName is the name of the tests' API token.
const tokenName = "night shift"

const baseURL = "https://hooks.example.com"

type siteOptions struct {
	ingresses  int // default 1
	noExecutor bool
	ingress    ingress.Options
	executor   executor.Options
}

// newSite starts an installation with the connectors.
func newSite(t testing.TB, o siteOptions, all ...connectors.Connector) *site {
	t.Helper()
	s := &site{t: t, Node: testenv.StartNode(t, &testenv.NodeOptions{BaseURL: baseURL, Connectors: all}), token: records.NewAPIToken()}
	s.js = s.Bus.JetStream()
	must(t, s.Tokens.Add(t.Context(), s.token, tokenName))
	if !o.noExecutor {
		o.executor.Metrics = s.Metrics
		s.StartExecutor(t, &o.executor)
	}
	o.ingress.BaseURL = baseURL
	for n := range max(1, o.ingresses) {
		if o.ingress.Metrics = s.Metrics; n > 0 {
			o.ingress.Metrics = nil // one registry holds one ingress
		}
		s.fronts = append(s.fronts, s.StartIngress(t, &o.ingress))
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	testenv.Must(t, err)
}

var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: time.Minute}

// answer is an HTTP response with its whole body.
type answer struct {
	status int
	header http.Header
	body   string
}

// send sends a request to an ingress; url is a public URL or a path below the base path.
func (s *site) send(front int, method, url, body string, header http.Header) answer {
	s.t.Helper()
	url = strings.TrimPrefix(url, baseURL)
	if !strings.HasPrefix(url, ingress.DefaultBasePath) {
		url = ingress.DefaultBasePath + url
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.fronts[front].URL+url, strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return answer{}
	}
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := client.Do(req)
	if err != nil {
		s.t.Error(err)
		return answer{}
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Error(err)
	}
	return answer{resp.StatusCode, resp.Header, string(data)}
}

// api calls the management API and decodes the response into out, if it is not nil.
func (s *site) api(method, path, body string, wantStatus int, out any) answer {
	s.t.Helper()
	a := s.send(0, method, path, body, http.Header{"Authorization": {"Bearer " + s.token.Reveal()}})
	if a.status != wantStatus {
		s.t.Fatalf("%s %s: got %d %s, want %d", method, path, a.status, a.body, wantStatus)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(a.body), out); err != nil {
			s.t.Fatalf("%s %s: %s: %v", method, path, a.body, err)
		}
	}
	return a
}

type connected struct {
	ID         string
	WebhookURL string `json:"webhook_url"`
}

// connect connects the probe for an organization.
func (s *site) connect(org, config string) connected {
	s.t.Helper()
	var c connected
	s.api("PUT", "/scopes/organization/"+org+"/connections/probe", `{"config":`+config+`}`, http.StatusCreated, &c)
	return c
}

// signed are the headers of a delivery, signed at a time.
func signed(secret, body, delivery string, at time.Time) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%s.%s", stamp, body)
	h := http.Header{"X-Signature": {"sha256=" + hex.EncodeToString(mac.Sum(nil))}, "X-Timestamp": {stamp}, "X-Event": {"order.created"}, "Content-Type": {"application/json"}}
	if delivery != "" {
		h["X-Delivery"] = []string{delivery}
	}
	return h
}

// messages returns all messages of a stream that match filter.
func (s *site) messages(stream events.Stream, filter string) []*jetstream.RawStreamMsg {
	s.t.Helper()
	str, err := s.js.Stream(s.t.Context(), s.Bus.Subjects.StreamName(stream))
	must(s.t, err)
	var out []*jetstream.RawStreamMsg
	for seq := uint64(1); ; {
		msg, err := str.GetMsg(s.t.Context(), seq, jetstream.WithGetMsgSubject(filter))
		if err != nil {
			return out
		}
		out = append(out, msg)
		seq = msg.Sequence + 1
	}
}

func (s *site) eventually(what string, ok func() bool) {
	s.t.Helper()
	testenv.Eventually(s.t, what, ok)
}

// count counts calls.
type count struct{ atomic.Int64 }
