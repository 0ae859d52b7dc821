package webhooks_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/catalog"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
)

// sns is the provider that has its subscriptions confirmed by a visit.
type sns struct {
	t       *testing.T
	key     *rsa.PrivateKey
	front   *httptest.Server
	visits  atomic.Int64
	strays  atomic.Int64 // requests to hosts that are not the provider's
	visited atomic.Pointer[http.Request]
	answer  atomic.Int64 // status of the confirming address
}

func newSNS(t *testing.T) *sns {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	p := &sns{t: t, key: key}
	p.answer.Store(http.StatusOK)
	p.front = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, ".pem"):
			_, _ = w.Write(certificate)
		case r.URL.Query().Get("Action") == "ConfirmSubscription":
			p.visits.Add(1)
			p.visited.Store(r)
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(int(p.answer.Load()))
		default:
			p.strays.Add(1)
		}
	}))
	t.Cleanup(p.front.Close)
	return p
}

// RoundTrip leads every host to the provider's server, which tells them apart.
func (p *sns) RoundTrip(r *http.Request) (*http.Response, error) {
	to, err := url.Parse(p.front.URL)
	if err != nil {
		return nil, err
	}
	if !strings.HasSuffix(r.URL.Host, ".amazonaws.com") {
		p.strays.Add(1)
	}
	own := r.Clone(r.Context())
	own.URL.Scheme, own.URL.Host = to.Scheme, to.Host
	return http.DefaultTransport.RoundTrip(own)
}

// confirmation is a signed request to confirm a subscription at an address.
func (p *sns) confirmation(id, address string) string {
	m := map[string]string{
		"Type": "SubscriptionConfirmation", "MessageId": id, "Token": "tok", "TopicArn": "arn:aws:sns:eu-west-1:1:t", "Message": "You have chosen to subscribe",
		"SubscribeURL": address, "Timestamp": time.Now().UTC().Format(time.RFC3339), "SignatureVersion": "2",
		"SigningCertURL": "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem",
	}
	var signed strings.Builder
	for _, name := range []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"} {
		signed.WriteString(name + "\n" + m[name] + "\n")
	}
	digest := sha256.Sum256([]byte(signed.String()))
	signature, err := rsa.SignPKCS1v15(rand.Reader, p.key, crypto.SHA256, digest[:])
	must(p.t, err)
	m["Signature"] = base64.StdEncoding.EncodeToString(signature)
	body, err := json.Marshal(m)
	must(p.t, err)
	return string(body)
}

// A subscription is confirmed by fetching the provider's address, and no other:
// once for each call that is genuine, without credentials, and no further.
func TestASubscriptionIsConfirmedByAVisitToTheProvider(t *testing.T) {
	t.Parallel()
	p := newSNS(t)
	w, _ := catalog.Webhook("aws-sns")
	c := connectors.Connector{Key: "aws-sns", Config: schema.For[struct{}](), Auth: connectors.Auth{Kind: connectors.AuthNone}, Webhook: &connectors.Webhook{Descriptor: w}}
	s := newSite(t, siteOptions{noExecutor: true, ingress: ingress.Options{HTTP: &http.Client{Transport: p, Timeout: 5 * time.Second}}}, c)
	var conn connected
	s.api("PUT", "/scopes/organization/org_1/connections/aws-sns", `{"config":{}}`, http.StatusCreated, &conn)
	const confirms = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn&Token=tok"
	post := func(url, body string) answer {
		return s.send(0, "POST", url, body, http.Header{"Authorization": {"Basic Y2FuYXJ5"}})
	}
	for n, url := range []string{conn.WebhookURL, "/connectors/aws-sns/webhook"} {
		if a := post(url, p.confirmation("m1", confirms)); a.status != http.StatusOK || p.visits.Load() != int64(n+1) {
			t.Errorf("%s: got %d %s and %d visits, want 200 and %d", url, a.status, a.body, p.visits.Load(), n+1)
		}
	}
	if r := p.visited.Load(); r.Method != "GET" || r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
		t.Errorf("the visit was %s %v", r.Method, r.Header)
	}
	visits := p.visits.Load()
	forged := strings.Replace(p.confirmation("m2", confirms), `"Token":"tok"`, `"Token":"other"`, 1)
	for name, body := range map[string]string{
		"forged":                     forged,
		"an address of nobody known": p.confirmation("m3", "https://evil.example/?Action=ConfirmSubscription"),
		"our own network":            p.confirmation("m4", "http://169.254.169.254/?Action=ConfirmSubscription"),
		"no address":                 p.confirmation("m5", ""),
	} {
		if a := post(conn.WebhookURL, body); a.status != http.StatusUnauthorized {
			t.Errorf("%s: got %d %s, want 401", name, a.status, a.body)
		}
	}
	if p.visits.Load() != visits || p.strays.Load() != 0 {
		t.Errorf("%d visits, %d of them elsewhere; want none", p.visits.Load()-visits, p.strays.Load())
	}
	// If it could not be confirmed, the response asks the provider to try again.
	for _, status := range []int64{http.StatusInternalServerError, http.StatusFound} {
		p.answer.Store(status)
		if a := post(conn.WebhookURL, p.confirmation("m6", confirms)); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("the address answered %d: got %d %v, want 503", status, a.status, a.header)
		}
	}
	if p.strays.Load() != 0 {
		t.Error("a redirect was followed")
	}
	if got := s.messages(events.Webhooks, ">"); len(got) > 0 {
		t.Errorf("a handshake was stored: %s", got[0].Data)
	}
}
