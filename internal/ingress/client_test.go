package ingress_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
)

var (
	ava = testenv.Org("ava@example.com")
	bob = testenv.Org("bob")
)

const (
	ofAva  = "/api/v1/scopes/organization/ava@example.com/connections"
	ofBob  = "/api/v1/scopes/organization/bob/connections"
	secret = "webhook-secret-of-ava"
	config = `{"apiKey":"key-of-ava","webhookSecret":"` + secret + `"}`
)

// site is an ingress and the node that it runs on.
type site struct {
	*testenv.Node
	*testenv.Front
}

func serve(t *testing.T, all ...connectors.Connector) *site {
	t.Helper()
	if len(all) == 0 {
		all = []connectors.Connector{testenv.Probe("probe", "")}
	}
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: all, BaseURL: "https://hooks.example.test"})
	return &site{n, n.StartIngress(t, &ingress.Options{BaseURL: "https://hooks.example.test"})}
}

type reply struct {
	status int
	header http.Header
	body   string
}

// code is the code of a problem document.
func (r reply) code() string {
	var p struct{ Code string }
	_ = json.Unmarshal([]byte(r.body), &p)
	return p.Code
}

// do sends a request with the token. Headers come in pairs; one with an empty
// value is not sent.
func (s *site) do(t *testing.T, method, path, body string, header ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.Token.Reveal())
	for i := 0; i+1 < len(header); i += 2 {
		if req.Header.Del(header[i]); header[i+1] != "" {
			req.Header.Add(header[i], header[i+1])
		}
	}
	resp, err := s.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, resp)
}

func read(t *testing.T, resp *http.Response) reply {
	t.Helper()
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(body)}
}

// raw sends bytes as they are, and reads one answer.
func (s *site) raw(t *testing.T, request string) reply {
	t.Helper()
	c := s.dial(t)
	if _, err := io.WriteString(c, strings.ReplaceAll(request, "TOKEN", s.Token.Reveal())); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no answer to %.60q: %v", request, err)
	}
	return read(t, resp)
}

// target sends a request with the target as it is.
func (s *site) target(t *testing.T, method, target string) reply {
	t.Helper()
	return s.raw(t, method+" "+target+" HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer TOKEN\r\nConnection: close\r\n\r\n")
}

func (s *site) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(testenv.MaxWait)); err != nil {
		t.Fatal(err)
	}
	return c
}

// connect connects ava and returns the path of her webhook.
func (s *site) connect(t *testing.T, connector string) string {
	t.Helper()
	r := s.do(t, "PUT", ofAva+"/"+connector, `{"config":`+config+`}`)
	if r.status != http.StatusCreated {
		t.Fatalf("connect: %d %s", r.status, r.body)
	}
	return webhookPath(t, r)
}

func webhookPath(t *testing.T, r reply) string {
	t.Helper()
	var view struct {
		URL string `json:"webhook_url"`
	}
	if err := json.Unmarshal([]byte(r.body), &view); err != nil {
		t.Fatal(err)
	}
	path, ok := strings.CutPrefix(view.URL, "https://hooks.example.test")
	if !ok {
		t.Fatalf("the webhook's URL is %q", view.URL)
	}
	return path
}

// deliverOnce sends a signed webhook, as a provider: without a token.
func (s *site) deliverOnce(t *testing.T, path, delivery, body string, header ...string) reply {
	t.Helper()
	all := []string{"Authorization", "", "Content-Type", "application/json"}
	for name, value := range testenv.Sign(secret, delivery, "message.created", []byte(body), time.Now()) {
		all = append(all, name, value)
	}
	return s.do(t, "POST", path, body, append(all, header...)...)
}

// toggle enables or disables ava's connection of probe.
func (s *site) toggle(t *testing.T) {
	t.Helper()
	if r := s.do(t, "POST", ofAva+"/probe/toggle", ""); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
}

// deliver sends a webhook again after a 503, as providers do.
func (s *site) deliver(t *testing.T, path, delivery, body string, header ...string) reply {
	t.Helper()
	r := s.deliverOnce(t, path, delivery, body, header...)
	for until := time.Now().Add(testenv.MaxWait); r.status == http.StatusServiceUnavailable && time.Now().Before(until); {
		r = s.deliverOnce(t, path, delivery, body, header...)
	}
	return r
}
